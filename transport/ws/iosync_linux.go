//go:build !race

package ws

func received(int) {}

func sending() {}
