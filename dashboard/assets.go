package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// The page, as `make assets` bundles it from web.
//
//go:embed assets
var embedded embed.FS

// asset is a file of the page.
type asset struct {
	text, zipped []byte
	kind         string
	hash         string
}

// assets are read once. Files are asked for by their name and hash, app-1a2b3c4d.js, so that browsers keep them for ever.
var assets = sync.OnceValue(func() map[string]*asset {
	all := make(map[string]*asset)
	files, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		panic(err) // it is a part of the program
	}
	for _, f := range files {
		text, err := embedded.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		all[f.Name()] = newAsset(f.Name(), text)
	}
	page := all["index.html"].text
	for name, a := range all {
		if name != "index.html" {
			page = bytes.ReplaceAll(page, []byte("/assets/"+name), []byte("/assets/"+hashed(name, a.hash)))
		}
	}
	all["index.html"] = newAsset("index.html", page)
	return all
})

func newAsset(name string, text []byte) *asset {
	kind := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) { // not as the operating system has it
	case ".js":
		kind = "text/javascript; charset=utf-8"
	case ".css":
		kind = "text/css; charset=utf-8"
	case ".html":
		kind = "text/html; charset=utf-8"
	case ".svg":
		kind = "image/svg+xml"
	case "":
		kind = "text/plain; charset=utf-8"
	}
	sum := sha256.Sum256(text)
	var zipped bytes.Buffer
	z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is one
	_, _ = z.Write(text)                                       // into memory
	_ = z.Close()
	return &asset{text: text, zipped: zipped.Bytes(), kind: kind, hash: hex.EncodeToString(sum[:6])}
}

// hashed puts a hash into the name of a file.
func hashed(name, hash string) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "-" + hash + ext
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request, cache string) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", cache)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", `"`+a.hash+`"`)
	if r.Header.Get("If-None-Match") == `"`+a.hash+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	text := a.text
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = a.zipped
	}
	_, _ = w.Write(text) // who left does not see it
}

// serveAsset serves app-HASH.js for ever, and THIRD_PARTY_LICENSES.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	asked := r.PathValue("name")
	for name, a := range assets() {
		switch asked {
		case hashed(name, a.hash):
			a.serve(w, r, "public, max-age=31536000, immutable")
			return
		case name:
			a.serve(w, r, "no-cache")
			return
		}
	}
	http.NotFound(w, r)
}

// servePage serves the page at every path: what is shown there is its own affair.
func servePage(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		writeError(w, &Error{Status: http.StatusMethodNotAllowed, What: "this is a page; it is read by GET"})
		return
	}
	assets()["index.html"].serve(w, r, "no-cache")
}
