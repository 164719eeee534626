//go:build race

package kanava_test

const raceEnabled = true
