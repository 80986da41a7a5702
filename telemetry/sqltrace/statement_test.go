package sqltrace

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ query, text, summary, operation, collection string }{
		{"SELECT * FROM orders WHERE id = $1", "SELECT * FROM orders WHERE id = $1", "SELECT orders", "SELECT", "orders"},
		{"select a,b from shop.orders o where name='O''Brien' and n in (1, -2.5e3)", "select a,b from shop.orders o where name=? and n in (?, -?)", "SELECT shop.orders", "SELECT", "shop.orders"},
		{"-- secret 'x'\nSELECT 1 /* 42 /* nested */ */ ;", "SELECT ? ;", "SELECT", "SELECT", ""},
		{"INSERT INTO shipping (a, b) SELECT a, 'x' FROM orders", "INSERT INTO shipping (a, b) SELECT a, ? FROM orders", "INSERT shipping SELECT orders", "", ""},
		{"INSERT INTO carts VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET n = excluded.n", "", "INSERT carts", "INSERT", "carts"},
		{"UPDATE ONLY stock SET n = n - 1 WHERE sku = :sku RETURNING n", "UPDATE ONLY stock SET n = n - ? WHERE sku = :sku RETURNING n", "UPDATE stock", "UPDATE", "stock"},
		{"DELETE FROM a USING b WHERE a.x = b.x", "", "DELETE a", "DELETE", "a"},
		{"SELECT * FROM songs, artists a WHERE songs.x = a.x", "", "SELECT songs artists", "SELECT", ""},
		{"SELECT * FROM a LEFT JOIN b ON a.x = b.x, c", "", "SELECT a b c", "SELECT", ""},
		{"SELECT x FROM (SELECT * FROM orders o JOIN customers c ON o.c = c.id) AS t", "", "SELECT SELECT orders customers", "", ""},
		{"WITH recent AS (SELECT * FROM orders), old AS (SELECT 1) DELETE FROM carts WHERE id IN (SELECT id FROM recent)", "", "SELECT orders SELECT DELETE carts SELECT", "", ""},
		{"SELECT extract(epoch FROM at), trim(both FROM n) FROM t WHERE a IS DISTINCT FROM b AND c IS NOT DISTINCT FROM d", "", "SELECT t", "SELECT", "t"},
		{"SELECT value FROM json_each($1)", "", "SELECT", "SELECT", ""},
		{"SELECT * FROM a WHERE x = 1 FOR UPDATE SKIP LOCKED", "", "SELECT a", "SELECT", "a"},
		{"CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY ON DELETE CASCADE)", "", "CREATE orders", "CREATE", "orders"},
		{"PRAGMA journal_mode = WAL", "PRAGMA journal_mode = WAL", "PRAGMA", "PRAGMA", ""},
		{"BEGIN IMMEDIATE", "BEGIN IMMEDIATE", "BEGIN", "BEGIN", ""},
		{"UPDATE a SET x = 1; DELETE FROM b", "UPDATE a SET x = ?; DELETE FROM b", "UPDATE a DELETE b", "", ""},
		{`SELECT "a b".x::text, e'it\'s 5', U&'x', X'ff', $tag$ 'y' $$ $tag$, $$z$$ FROM "A"."B c"`,
			`SELECT "a b".x::text, ?, ?, ?, ?, ? FROM "A"."B c"`, `SELECT "A"."B c"`, "SELECT", `"A"."B c"`},
		{"SELECT a[1] FROM [my table] WHERE @id = x AND y = @@rowcount", "SELECT a[?] FROM [my table] WHERE @id = x AND y = @@rowcount", "SELECT [my table]", "SELECT", "[my table]"},
		{"replace into t values (1)", "replace into t values (?)", "REPLACE t", "REPLACE", "t"},
		{"SELECT replace(a, 'b', 'c') FROM t", "SELECT replace(a, ?, ?) FROM t", "SELECT t", "SELECT", "t"},
		{"SELECT 'not closed FROM t", "SELECT ?", "SELECT", "SELECT", ""},
		{"frobnicate the 'thing'", "frobnicate the ?", "", "", ""},
		{"", "", "", "", ""},
	} {
		s := parse(tt.query, false)
		if tt.text != "" && s.text != tt.text {
			t.Errorf("%s\n is told as %s\n want       %s", tt.query, s.text, tt.text)
		}
		if s.summary != strings.ReplaceAll(tt.summary, "select", "SELECT") || s.operation != tt.operation || s.collection != tt.collection {
			t.Errorf("%s\n is %q, %q, %q\n want %q, %q, %q", tt.query, s.summary, s.operation, s.collection, tt.summary, tt.operation, tt.collection)
		}
	}
}

// In MySQL double quotes are around texts, and a backslash escapes in all of them.
func TestParseDoubled(t *testing.T) {
	s := parse("SELECT `a b`, \"it\\\"s\", 'a\\'b' FROM `t`", true)
	if want := "SELECT `a b`, ?, ? FROM `t`"; s.text != want || s.summary != "SELECT `t`" {
		t.Errorf("got %s (%s), want %s", s.text, s.summary, want)
	}
}

func TestParseLong(t *testing.T) {
	s := parse("SELECT "+strings.Repeat("é, ", 10_000)+"'x' FROM "+strings.Repeat("t", 300), false)
	if len(s.text) > mostText+10 || !strings.HasSuffix(s.text, "…") || s.summary != "SELECT" {
		t.Errorf("%d bytes, %s", len(s.text), s.summary)
	}
}

// Whatever a statement is, a text in it is not told.
func FuzzParse(f *testing.F) {
	for _, q := range []string{"SELECT 'a' FROM t", "INSERT INTO t VALUES ($1, X'00')", "a$b$c", "'", "\"", "[", "/*", "--", "$$", "E'\\", "@", ":", "1e"} {
		f.Add(q, true)
		f.Add(q, false)
	}
	f.Fuzz(func(t *testing.T, query string, doubled bool) {
		s := parse(query, doubled)
		if len(s.text) > mostText+len("…") || len(s.summary) > mostSummary {
			t.Fatalf("%d and %d bytes", len(s.text), len(s.summary))
		}
		const secret = "qXsecretXq"
		if before := parse(query, doubled); strings.Contains(before.text, secret) {
			t.Skip()
		}
		s = parse("SELECT '"+secret+"' FROM t WHERE "+query, doubled)
		if strings.Contains(s.text, secret) {
			t.Fatalf("%s is told", s.text)
		}
	})
}
