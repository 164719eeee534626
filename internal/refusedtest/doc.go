// Package refusedtest proves that wrong programs do not compile, and that what
// the compiler says about them helps. Each folder of testdata holds one
// program: its first comment says what its author got wrong, and a comment
// "want:" quotes a part of what the compiler must say. A program with the
// comment "compiles" is a control.
package refusedtest
