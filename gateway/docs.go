package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/hanse-go/hanse/internal/openapi"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Docs serves the description of a system's contracts: /openapi.json, an OpenAPI 3.1 document, and /docs, a page that shows it and makes
// calls. The page comes from the program and loads nothing from elsewhere. Both tell whoever reaches them what there is to call, so they
// answer requests from this machine only, see [Local], unless Public says that there is authentication before them.
//
// The fields are set before the first request; only Backend must be. It must not be copied, and its methods are safe for concurrent use.
type Docs struct {
	// Backend says which contracts there are.
	Backend Backend
	// Title names what is described. Default: the full name of the first contract.
	Title string
	// Version is that of what is described. Default: none.
	Version string
	// Public answers all requests. Default: those that [Local] lets through.
	Public bool
	// Service returns the name of the service that has a contract, for commands that can be copied. Default: none is known.
	Service func(contract protoreflect.ServiceDescriptor) string
	// Constraints says what the values of fields must be. Default: nothing is known.
	Constraints Constraints

	once     sync.Once
	handler  http.Handler
	mu       sync.Mutex
	made     uint64 // generation of the contracts that document describes
	document *asset
}

// asset is something that is served as it is.
type asset struct {
	contentType string
	etag        string
	plain       []byte
	packed      []byte // by gzip
}

//go:embed page
var page embed.FS

// policy lets the page load what comes from where it came from, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Serves reports whether Docs has something at the request's path.
func (d *Docs) Serves(r *http.Request) bool {
	return r.URL.Path == "/openapi.json" || r.URL.Path == "/docs" || strings.HasPrefix(r.URL.Path, "/docs/")
}

// ServeHTTP answers a request.
func (d *Docs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.once.Do(d.begin)
	d.handler.ServeHTTP(w, r)
}

// begin makes what is served.
func (d *Docs) begin() {
	mux := http.NewServeMux()
	d.handler = mux
	if !d.Public {
		d.handler = Local(mux)
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		doc, err := d.describe()
		if err != nil {
			http.Error(w, "the document cannot be made: "+err.Error(), http.StatusInternalServerError)
			return
		}
		doc.serve(w, r)
	})
	mux.Handle("GET /docs/{$}", http.RedirectHandler("../docs", http.StatusMovedPermanently))
	files, _ := fs.ReadDir(page, "page") // it is embedded
	for _, f := range files {
		content, _ := fs.ReadFile(page, path.Join("page", f.Name()))
		a := newAsset(contentTypes[path.Ext(f.Name())], content)
		pattern := "GET /docs/" + f.Name()
		if f.Name() == "index.html" {
			pattern = "GET /docs"
		}
		mux.HandleFunc(pattern, a.serve)
	}
}

// contentTypes are those of the page's files; the system's own list may have others.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// describe returns the document for the contracts that there are now.
func (d *Docs) describe() (*asset, error) {
	generation := uint64(0)
	if g, ok := d.Backend.(interface{ Generation() uint64 }); ok {
		generation = g.Generation()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.document != nil && d.made == generation {
		return d.document, nil
	}
	data, err := openapi.Build(d.Backend.Contracts(), openapi.Options{Title: d.Title, Version: d.Version, Service: d.Service, Constraints: openapi.Keywords(d.Constraints)}).JSON()
	if err != nil {
		return nil, err
	}
	d.document, d.made = newAsset("application/json", data), generation
	return d.document, nil
}

func newAsset(contentType string, content []byte) *asset {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Write(content) // into memory
	zip.Close()
	sum := sha256.Sum256(content)
	return &asset{contentType: contentType, etag: hex.EncodeToString(sum[:8]), plain: content, packed: packed.Bytes()}
}

// serve answers with the asset, or says that the client has it.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // asked for again, and mostly not sent again
	h.Set("Vary", "Accept-Encoding")
	content, tag := a.plain, a.etag
	packed := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	if packed {
		content, tag = a.packed, tag+"-gzip"
	}
	h.Set("ETag", `"`+tag+`"`)
	if strings.Contains(r.Header.Get("If-None-Match"), `"`+tag+`"`) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", fmt.Sprint(len(content)))
	if r.Method != http.MethodHead {
		w.Write(content) // the client is gone if this fails
	}
}
