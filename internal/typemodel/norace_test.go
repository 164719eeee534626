//go:build !race

package typemodel_test

const raceEnabled = false
