// The handler of serverless-offline, whose own runner of Go programs does not
// work: it hands each event to the Go test, which runs the bootstrap.
// KANAVA_LAMBDAS has the address for each function, by its name.
const lambdas = JSON.parse(process.env.KANAVA_LAMBDAS)

exports.handler = async (event, context) => {
  const answer = await fetch(lambdas[context.functionName], { method: 'POST', body: JSON.stringify(event) })
  const text = await answer.text()
  if (answer.ok) return JSON.parse(text)
  // With this one error an authorizer asks for 401, and gets it only as a result.
  if (text === 'Unauthorized') return text
  throw new Error(text)
}
