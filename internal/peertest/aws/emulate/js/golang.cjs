// The plugin that tells Architect's sandbox of programs that speak Lambda's
// Runtime API themselves.
module.exports = {
  set: {
    runtimes: () => ({ name: 'golang', type: 'compiled', build: 'build', baseRuntime: 'provided.al2023' }),
  },
}
