package storefront

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/hanse-go/hanse/examples/shop/money"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
)

//go:embed assets/*
var assetFiles embed.FS

//go:embed templates/*.html
var templateFiles embed.FS

// assetVersion names the content of all assets: their paths change with it, so browsers may keep them for ever.
var assetVersion = func() string {
	sum := sha256.New()
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic(err) // the files are part of the program
	}
	for _, e := range entries {
		content, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:5])
}()

var assets = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, err := assetFiles.ReadFile(path.Join("assets", path.Base(name)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if r.PathValue("version") == assetVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
})

func favicon(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/assets/"+assetVersion+"/mark.svg", http.StatusFound)
}

// templates are the pages by name: each is a file with the layout and the parts around it.
type templates map[string]*template.Template

func parseTemplates() (templates, error) {
	common := []string{"templates/layout.html", "templates/parts.html", "templates/strip.html"}
	all := make(templates)
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		switch name {
		case "layout", "parts", "strip":
			continue
		}
		t, err := template.New(name).Funcs(functions).ParseFS(templateFiles, append(common[:3:3], file)...)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", file, err)
		}
		all[name] = t
	}
	return all, nil
}

var functions = template.FuncMap{
	"asset": func(name string) string { return "/assets/" + assetVersion + "/" + name },
	"picture": func(p *catalogv1.Product) string {
		return "/pictures/" + p.GetPictureVersion() + "/" + p.GetId() + ".svg"
	},
	"pictureOf": func(id string) string { // of a product of which only the ID is known
		return "/pictures/latest/" + id + ".svg"
	},
	"money":  func(m *moneyv1.Money) string { return money.Of(m).String() },
	"times":  func(m *moneyv1.Money, n int32) (money.Amount, error) { return money.Of(m).Times(int64(n)) },
	"millis": millis,
	"steps":  steps,
	"final":  final,
	"on":     func(p *page, v any) any { return struct{ Page, It any }{p, v} },
	"express": func(o *shippingv1.Offer) bool {
		return o.GetSpeed() == shippingv1.Speed_SPEED_EXPRESS
	},
	"country": countryName,
	"clock":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05") },
	"plural": func(n int, one, many string) string {
		if n == 1 {
			return fmt.Sprintf("%d %s", n, one)
		}
		return fmt.Sprintf("%d %s", n, many)
	},
	"int":      func(n int32) int { return int(n) },
	"last":     func(i, n int) bool { return i == n-1 },
	"indented": func(depth int) int { return min(depth, 3) },
}
