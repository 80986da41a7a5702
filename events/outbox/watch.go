package outbox

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// watchFile returns what tells of transactions of any process in a SQLite database: its files are written. It is nil where nothing can tell.
func watchFile(file string) func(ctx context.Context, wake func()) error {
	if file == "" || runtime.GOOS == "windows" { // which does not tell of a file that is written while it is open
		return nil
	}
	return func(ctx context.Context, wake func()) error {
		watcher, err := fsnotify.NewWatcher()
		if err != nil {
			return err
		}
		defer watcher.Close()
		if err := watcher.Add(filepath.Dir(file)); err != nil {
			return err
		}
		base := filepath.Base(file)
		for {
			select {
			case <-ctx.Done():
				return nil
			case e, ok := <-watcher.Events:
				if !ok {
					return errors.New("the folder of the database is not watched any more")
				}
				if name := filepath.Base(e.Name); e.Has(fsnotify.Write|fsnotify.Create) && strings.HasPrefix(name, base) && !strings.HasSuffix(name, "-shm") {
					wake()
				}
			case err, ok := <-watcher.Errors:
				if !ok {
					return errors.New("the folder of the database is not watched any more")
				}
				if errors.Is(err, fsnotify.ErrEventOverflow) {
					wake()
					continue
				}
				return err
			}
		}
	}
}

// fileOf returns the file of a SQLite database, as SQLite itself names it; "" when it is in memory.
func fileOf(ctx context.Context, db *sql.DB) (string, error) {
	rows, err := db.QueryContext(ctx, `PRAGMA database_list`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			number int
			name   string
			file   sql.NullString
		)
		if err := rows.Scan(&number, &name, &file); err != nil {
			return "", err
		}
		if name == "main" {
			return file.String, nil
		}
	}
	return "", rows.Err()
}
