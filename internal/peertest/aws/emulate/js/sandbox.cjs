// Starts Architect's sandbox in the current directory, and says when it serves.
// Its options are one argument of JSON; what else it wants is in app.arc.
const sandbox = require('@architect/sandbox')

sandbox.start({ cwd: process.cwd(), host: '127.0.0.1', ...JSON.parse(process.argv[2]) }).then(console.log, (error) => {
  console.error(error)
  process.exit(1)
})
