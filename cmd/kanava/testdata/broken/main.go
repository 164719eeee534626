// Broken does not build.
package main

func main() { missing() }
