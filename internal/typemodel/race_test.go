//go:build race

package typemodel_test

// slowdown is what bounds of time and memory are multiplied by: the race detector
// takes its share, and makes pools drop what they are given.
const slowdown = 8
