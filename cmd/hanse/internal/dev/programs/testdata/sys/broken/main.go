package main

import _ "github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/nowhere"
import "github.com/hanse-go/hanse"

func main() { hanse.Main() }
