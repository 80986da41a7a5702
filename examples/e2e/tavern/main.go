// Command tavern runs services that call too much: what hanse advise is to find.
package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/e2e/tavern/guild"
)

func main() { hanse.Main(guild.Services()...) }
