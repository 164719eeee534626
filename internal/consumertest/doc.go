// Package consumertest proves that the module can be used from outside: it
// packs the work tree as the module's version v0.1.0, serves it from a module
// proxy made of files, and builds a program of somebody else with it, in a
// module cache of its own and without network.
//
// It would notice a replace in go.mod, a package that only go.work makes
// available, a file that an embed needs and git ignores, and a file name that
// a module must not have.
package consumertest
