// Loaded before each of these programs (node --require): its standard input is
// a pipe that the Go test holds. When the test ends, in whatever way, the pipe
// does too, and with it the program and what it started.
const { isMainThread } = require('node:worker_threads')

if (isMainThread) {
  process.stdin.on('end', () => process.kill(-process.pid, 'SIGKILL'))
  process.stdin.resume()
}
