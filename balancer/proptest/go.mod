module github.com/hanse-go/hanse/balancer/proptest

go 1.26.0

replace github.com/hanse-go/hanse => ../..

require (
	github.com/hanse-go/hanse v0.0.0-00010101000000-000000000000
	google.golang.org/grpc v1.85.0
	pgregory.net/rapid v1.2.0
)

require (
	github.com/fsnotify/fsnotify v1.10.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
)
