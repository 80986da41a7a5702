package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/internal/redact"
	"github.com/hanse-go/hanse/store"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bucketReport is a bucket of the store.
type bucketReport struct {
	Name     string     `json:"name"`
	Type     string     `json:"type"` // a message's full name, bytes or json; "" where nobody has said it
	Records  uint64     `json:"records"`
	Bytes    uint64     `json:"bytes"`
	MaxBytes int64      `json:"max_bytes,omitempty"`
	Revision uint64     `json:"revision"`
	Time     *time.Time `json:"time,omitempty"`     // of the last write
	Internal bool       `json:"internal,omitempty"` // it is Hanse's own: locks, jobs
}

// keysPage is a part of the keys of a bucket, in order.
type keysPage struct {
	Keys []string `json:"keys"`
	More bool     `json:"more,omitempty"` // there are more than were asked for, or looked at
}

// valueReport is a value: as JSON, as text, or as bytes.
type valueReport struct {
	Key      string          `json:"key"`
	Revision uint64          `json:"revision"`
	Time     time.Time       `json:"time"`
	Bytes    int             `json:"bytes"`
	Type     string          `json:"type"`
	JSON     json.RawMessage `json:"json,omitempty"`
	Text     *string         `json:"text,omitempty"`
	Base64   []byte          `json:"base64,omitempty"` // the first of it, where it is neither
	Note     string          `json:"note,omitempty"`   // why it is not shown better
	Editable bool            `json:"editable,omitempty"`
}

const (
	storeTimeout  = 10 * time.Second
	maxKeysSeen   = 50_000
	maxShownValue = 256 << 10
	maxShownBytes = 4 << 10
)

// ownPrefix begins the names of buckets that Hanse keeps for itself.
const ownPrefix = "hanse-"

func (s *Server) storeAPI(a api, c *console) {
	look := func(f func(ctx context.Context, r *http.Request, d store.Admin) (any, error)) func(r *http.Request) (any, error) {
		return func(r *http.Request) (any, error) {
			d, ok := s.Store.(store.Admin)
			if !ok {
				return nil, missing("hanse dev has one unless it was started with --backplane off", "there is no store here")
			}
			ctx, cancel := within(r, storeTimeout)
			defer cancel()
			v, err := f(ctx, r, d)
			return v, storeError(err)
		}
	}
	a.get("store/buckets", look(func(ctx context.Context, _ *http.Request, d store.Admin) (any, error) {
		all, err := d.Buckets(ctx)
		reports := []bucketReport{}
		for _, b := range all {
			report := bucketReport{Name: b.Name, Type: b.Type, Records: b.Records, Bytes: b.Bytes, MaxBytes: max(b.Limits.MaxBytes, 0), Revision: b.Revision, Internal: strings.HasPrefix(b.Name, ownPrefix)}
			if !b.Time.IsZero() {
				report.Time = &b.Time
			}
			reports = append(reports, report)
		}
		return reports, err
	}))
	a.get("store/keys", look(func(ctx context.Context, r *http.Request, d store.Admin) (any, error) {
		limit, err := number(r, "limit", 1000, 1, 10_000)
		if err != nil {
			return nil, err
		}
		b, err := bucketOf(ctx, d, r.URL.Query().Get("bucket"))
		if err != nil {
			return nil, err
		}
		return s.keys(ctx, b.Name, r.URL.Query().Get("prefix"), limit)
	}))
	a.get("store/value", look(func(ctx context.Context, r *http.Request, d store.Admin) (any, error) {
		b, err := bucketOf(ctx, d, r.URL.Query().Get("bucket"))
		if err != nil {
			return nil, err
		}
		record, err := s.Store.Get(ctx, b.Name, r.URL.Query().Get("key"))
		if err != nil {
			return nil, err
		}
		return s.value(ctx, c, b, record)
	}))
	a.post("store/put", look(func(ctx context.Context, r *http.Request, d store.Admin) (any, error) {
		order, err := body[putOrder](r)
		if err != nil {
			return nil, err
		}
		b, err := s.changeable(ctx, d, order.Bucket)
		if err != nil {
			return nil, err
		}
		value, err := s.encode(ctx, c, b, order.Text)
		if err != nil {
			return nil, err
		}
		revision, err := s.Store.Put(ctx, b.Name, store.Write{Key: order.Key, Value: value, Revision: order.Revision, Create: order.Revision == 0})
		return struct {
			Revision uint64 `json:"revision"`
		}{revision}, err
	}))
	a.post("store/delete", look(func(ctx context.Context, r *http.Request, d store.Admin) (any, error) {
		order, err := body[deleteOrder](r)
		if err != nil {
			return nil, err
		}
		b, err := s.changeable(ctx, d, order.Bucket)
		if err != nil {
			return nil, err
		}
		return struct{}{}, s.Store.Delete(ctx, b.Name, order.Key, order.Revision)
	}))
}

// putOrder writes a value that was seen, or one that is new.
type putOrder struct {
	Bucket   string `json:"bucket"`
	Key      string `json:"key"`
	Revision uint64 `json:"revision"` // that was seen; 0: the key has none
	Text     string `json:"text"`     // JSON, or the text of a bucket of bytes
}

// deleteOrder deletes a value that was seen.
type deleteOrder struct {
	Bucket   string `json:"bucket"`
	Key      string `json:"key"`
	Revision uint64 `json:"revision"`
}

func storeError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return missing("it may have been deleted, or its time is over", "the key has no value")
	case errors.Is(err, store.ErrRevision), errors.Is(err, store.ErrExists):
		return &Error{Status: http.StatusConflict, What: "somebody has changed it meanwhile", Do: "look at it again"}
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrFull):
		return bad("", "%v", err)
	}
	return err
}

func bucketOf(ctx context.Context, d store.Admin, name string) (store.BucketState, error) {
	all, err := d.Buckets(ctx)
	if err != nil {
		return store.BucketState{}, err
	}
	for _, b := range all {
		if b.Name == name {
			return b, nil
		}
	}
	return store.BucketState{}, missing("", "there is no bucket %q", name)
}

// changeable returns a bucket whose values may be changed from the page: only in development, and none that Hanse needs.
func (s *Server) changeable(ctx context.Context, d store.Admin, name string) (store.BucketState, error) {
	b, err := bucketOf(ctx, d, name)
	if err != nil {
		return b, err
	}
	if strings.HasPrefix(name, ownPrefix) {
		return b, &Error{Status: http.StatusForbidden, What: name + " is Hanse's own, and only shown"}
	}
	if ok, err := s.develops(ctx); err != nil || !ok {
		return b, errors.Join(err, &Error{Status: http.StatusForbidden, What: "values are changed here in hanse dev only"})
	}
	return b, nil
}

// develops reports whether the system is one of hanse dev.
func (s *Server) develops(ctx context.Context) (bool, error) {
	if s.System == nil {
		return false, nil
	}
	st, err := s.System.State(ctx)
	if err != nil {
		return false, err
	}
	return st.Kind == KindDev && !st.ReadOnly && !st.Production, nil
}

// keys returns keys of a bucket that begin with prefix.
func (s *Server) keys(ctx context.Context, bucket, prefix string, limit int) (keysPage, error) {
	page := keysPage{Keys: []string{}}
	err := s.Store.Watch(ctx, bucket, store.WatchInfo{Prefix: prefix, KeysOnly: true}, func(u store.Update) bool {
		switch u.Kind {
		case store.Reset:
			page.Keys = page.Keys[:0]
		case store.Put:
			page.Keys = append(page.Keys, u.Key)
		case store.Synced:
			return false
		}
		page.More = len(page.Keys) >= maxKeysSeen
		return !page.More
	})
	slices.Sort(page.Keys)
	if len(page.Keys) > limit {
		page.Keys, page.More = page.Keys[:limit], true
	}
	return page, err
}

// value makes a value readable.
func (s *Server) value(ctx context.Context, c *console, b store.BucketState, record store.Record) (valueReport, error) {
	v := valueReport{Key: record.Key, Revision: record.Revision, Time: record.Time, Bytes: len(record.Value), Type: b.Type}
	own := strings.HasPrefix(b.Name, ownPrefix)
	may, err := s.develops(ctx)
	if err != nil {
		return v, err
	}
	switch {
	case b.Type == "bytes":
	case b.Type == "json" || b.Type == "":
		if json.Valid(record.Value) && len(record.Value) <= maxShownValue {
			v.JSON = record.Value
		}
	default:
		mt, err := s.messageType(ctx, c, protoreflect.FullName(b.Type))
		if err != nil {
			return v, err
		}
		if mt == nil {
			v.Note = "no service that runs tells what a " + b.Type + " is"
			break
		}
		m := mt.New().Interface()
		if err := proto.Unmarshal(record.Value, m); err != nil {
			v.Note = "it is no " + b.Type
			break
		}
		text := redact.JSON(m, maxShownValue)
		v.JSON = json.RawMessage(text.JSON)
		if text.Cut || text.Redacted {
			may = false // it would be written without what is not shown
		}
	}
	if v.JSON == nil {
		if printable(record.Value) && len(record.Value) <= maxShownValue && v.Note == "" {
			text := string(record.Value)
			v.Text = &text
		} else {
			may = false
			v.Base64 = record.Value[:min(len(record.Value), maxShownBytes)]
		}
	}
	v.Editable = may && !own
	return v, nil
}

// printable reports whether bytes are a text.
func printable(b []byte) bool {
	return utf8.Valid(b) && !slices.ContainsFunc([]rune(string(b)), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' })
}

func (s *Server) messageType(ctx context.Context, c *console, name protoreflect.FullName) (protoreflect.MessageType, error) {
	var services []Service
	if s.System != nil {
		st, err := s.System.State(ctx)
		if err != nil {
			return nil, err
		}
		services = st.Services
	}
	return c.message(ctx, name, services), nil
}

// encode makes the bytes of what a person wrote.
func (s *Server) encode(ctx context.Context, c *console, b store.BucketState, text string) ([]byte, error) {
	switch b.Type {
	case "bytes":
		return []byte(text), nil
	case "json", "":
		if !json.Valid([]byte(text)) {
			return nil, bad("", "the value is no JSON")
		}
		return []byte(text), nil
	}
	mt, err := s.messageType(ctx, c, protoreflect.FullName(b.Type))
	if err != nil {
		return nil, err
	}
	if mt == nil {
		return nil, bad("start a service that has it", "no service that runs tells what a %s is", b.Type)
	}
	m := mt.New().Interface()
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		return nil, bad("", "the value is no %s: %s", b.Type, protoText(err))
	}
	return proto.Marshal(m)
}
