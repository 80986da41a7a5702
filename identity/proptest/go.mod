module github.com/hanse-go/hanse/identity/proptest

go 1.26.0

require (
	github.com/hanse-go/hanse v0.0.0-00010101000000-000000000000
	pgregory.net/rapid v1.2.0
)

require (
	google.golang.org/grpc v1.85.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/hanse-go/hanse => ../..
