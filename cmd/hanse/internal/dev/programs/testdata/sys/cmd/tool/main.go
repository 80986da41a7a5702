package main

// A tool that imports hanse and runs nothing.

import "github.com/hanse-go/hanse"

func main() { println(new(hanse.App).System) }

func unused() { hanse.Main() }
