// Package embednats is a NATS server with JetStream inside of a process: what events, stores and workflows of an app need, without anything
// to install.
//
//	app := &hanse.App{Backplane: &embednats.Server{Dir: "data"}}
//
// By itself it has no port: only its own process uses it. With [Server.Addr] other processes connect, by the token or the certificates that
// it asks for. Three of them make a cluster, see [Cluster]; hanse hub is this package as a program.
//
// What is acknowledged is on the disk: each write is synced before its publisher hears of it, unless [Server.NoSync] says otherwise. The server
// belongs to the process that runs it; a folder is never used by two.
//
// It adds about 10 MiB to a program. No other package of Hanse that services use links it.
package embednats
