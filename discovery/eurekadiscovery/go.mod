module github.com/hanse-go/hanse/discovery/eurekadiscovery

go 1.26.0

require (
	github.com/hanse-go/hanse v0.0.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/fsnotify/fsnotify v1.10.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/hanse-go/hanse => ../../
