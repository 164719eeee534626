//go:build !race && !386

package ws

func received(int) {}

func sending() {}
