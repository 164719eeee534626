//go:build !race

package typemodel_test

// slowdown is what bounds of time and memory are multiplied by.
const slowdown = 1
