//go:build unix

// Package postgrestest runs a real PostgreSQL as a child process, for tests and measurements.
package postgrestest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrNotInstalled says that this machine has no PostgreSQL.
var ErrNotInstalled = errors.New("there is no PostgreSQL on this machine: make engines installs it")

// Server is a PostgreSQL on loopback, whose one user, hanse, needs no password. It dies with the process that started it, however that ends.
type Server struct {
	dir       string
	port      int
	bin       string // folder of the programs
	account   *syscall.SysProcAttr
	settings  []string
	shell     *exec.Cmd
	stdin     io.Closer
	databases atomic.Int64
}

// Start makes a server in a new temporary folder, with settings such as "fsync=off", and waits until it takes connections. PostgreSQL refuses to run as
// root, so it then runs as the user postgres or nobody.
func Start(ctx context.Context, settings ...string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hanse-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, settings: settings}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return s, nil
}

// programs returns the folder of the server's programs, which Debian does not put into the path.
func programs() (string, error) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, path)
	}
	for _, path := range candidates {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(real), "postgres")); err == nil {
				return filepath.Dir(real), nil
			}
		}
	}
	return "", ErrNotInstalled
}

func (s *Server) start(ctx context.Context) error {
	if os.Getuid() == 0 {
		if err := s.leaveRoot(); err != nil {
			return err
		}
	}
	init := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "hanse", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	init.SysProcAttr, init.Dir = s.account, s.dir
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	var err error
	for range 5 { // a port may be taken meanwhile
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.Run(ctx); err == nil {
			return nil
		}
	}
	return err
}

func (s *Server) leaveRoot() error {
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		s.account = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return os.Chown(s.dir, uid, gid)
	}
	return errors.New("it does not run as root, and there is no user postgres or nobody")
}

// Run starts a server that was killed or stopped, with the data and the port that it had.
func (s *Server) Run(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(s.port), "-k", ""}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	// The shell waits for the end of its input, and ends the server then.
	s.shell = exec.Command("sh", append([]string{"-c", `"$@" >&2 & echo $!; read _; kill -INT $! 2>/dev/null; wait`, "sh", filepath.Join(s.bin, "postgres")}, args...)...)
	s.shell.Stderr, s.shell.SysProcAttr, s.shell.Dir = log, s.account, s.dir
	stdin, err := s.shell.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := s.shell.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.shell.Start(); err != nil {
		return err
	}
	s.stdin = stdin
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ready := exec.CommandContext(ctx, filepath.Join(s.bin, "psql"), "-X", "-q", "-c", "SELECT 1", s.URL("postgres"))
		out, err := ready.CombinedOutput()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			s.end()
			return fmt.Errorf("it takes no connections: %s: %s", bytes.TrimSpace(out), s.logEnd())
		}
	}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// URL returns how to connect with a database.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://hanse@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// NewDatabase makes an empty database, and returns how to connect with it.
func (s *Server) NewDatabase(ctx context.Context) (url string, err error) {
	name := fmt.Sprintf("db%d", s.databases.Add(1))
	out, err := exec.CommandContext(ctx, filepath.Join(s.bin, "psql"), "-X", "-q", "-c", "CREATE DATABASE "+name, s.URL("postgres")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("postgres: %w: %s", err, out)
	}
	return s.URL(name), nil
}

// Stop ends the server, with all that it has.
func (s *Server) Stop() {
	s.end()
	_ = os.RemoveAll(s.dir)
}

// End stops the server, which Run starts again. Its connections break.
func (s *Server) End() { s.end() }

func (s *Server) end() {
	if s.stdin == nil {
		return
	}
	_ = s.stdin.Close()
	_ = s.shell.Wait() // its status is that of the kill
	s.stdin = nil
}

func (s *Server) logEnd() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

func freePort() (int, error) {
	const first, many = 20000, 10000 // below those that the system gives to connections
	for range 100 {
		lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.N(many)))
		if err == nil {
			defer lis.Close()
			return lis.Addr().(*net.TCPAddr).Port, nil
		}
	}
	return 0, errors.New("no port is free")
}
