package main

import "github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/wrap"

func main() { wrap.Run("b") }
