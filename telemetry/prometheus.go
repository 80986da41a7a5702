package telemetry

import (
	"compress/gzip"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
)

// MetricsHandler shows all numbers to Prometheus and whoever reads its format: as OpenMetrics with exemplars where that is accepted, else
// as text of version 0.0.4, and compressed where that is. Histograms of calls have powers of two seconds for bounds, from 61 µs to 16 s.
// Each line has the label service_name, but for those of the process (go_*, process_*); target_info says more of each service.
func (t *Telemetry) MetricsHandler() http.Handler {
	return http.HandlerFunc(t.serveMetrics)
}

// scrapes are writers that others have used.
var scrapes = sync.Pool{New: func() any { return new(promWriter) }}

func (t *Telemetry) serveMetrics(w http.ResponseWriter, req *http.Request) {
	if t == nil {
		http.Error(w, "telemetry is off", http.StatusNotFound)
		return
	}
	out := scrapes.Get().(*promWriter)
	defer scrapes.Put(out)
	var contentType string
	contentType, out.open = promFormat(req.Header.Get("Accept"))
	out.b = out.b[:0]
	all := t.read(req.Context(), &reading{shown: true, explicit: true, at: time.Now()})
	out.targets(all)
	list, refused := families(all)
	for _, f := range list {
		out.family(f)
	}
	for _, name := range refused {
		if _, told := t.refusedNames.LoadOrStore(name, true); !told {
			t.logger().Warn("a number is not shown: there is another kind of number whose name is the same for Prometheus", "name", name)
		}
	}
	if out.open {
		out.text("# EOF\n")
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Vary", "Accept, Accept-Encoding")
	if !acceptsGzip(req.Header.Get("Accept-Encoding")) {
		h.Set("Content-Length", strconv.Itoa(len(out.b)))
		w.Write(out.b)
		return
	}
	h.Set("Content-Encoding", "gzip")
	zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is one
	zip.Write(out.b)
	zip.Close()
}

// targets says what is known of each service.
func (w *promWriter) targets(all []otlp.ResourceMetrics) {
	kind, name := promGauge, "target_info"
	if w.open {
		kind, name = "info", "target"
	}
	w.text("# HELP ", name, " What is known of a service.\n# TYPE ", name, " ", kind, "\n")
	for _, rm := range all {
		w.setLabels(nil, rm.Resource.Attributes)
		w.sample("target_info", "", "")
		w.text("1\n")
	}
}

const (
	openMetrics = "application/openmetrics-text"
	plainText   = "text/plain; version=0.0.4; charset=utf-8"
)

// promFormat chooses what is preferred of the two that there are.
func promFormat(accept string) (contentType string, open bool) {
	openQuality, textQuality := -1.0, 0.0
	version := "1.0.0"
	for part := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		quality := 1.0
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			quality = q
		}
		switch v := params["version"]; kind {
		case openMetrics:
			if (v == "" || v == "1.0.0" || v == "0.0.1") && quality > max(openQuality, 0) {
				openQuality = quality
				if version = v; v == "" {
					version = "1.0.0"
				}
			}
		case "text/plain", "text/*", "*/*":
			textQuality = max(textQuality, quality)
		}
	}
	if openQuality < textQuality || openQuality < 0 {
		return plainText, false
	}
	return openMetrics + "; version=" + version + "; charset=utf-8", true
}

func acceptsGzip(encodings string) bool {
	for part := range strings.SplitSeq(encodings, ",") {
		name, rest, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); name == "gzip" || name == "*" {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(rest), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}
