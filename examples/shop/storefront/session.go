package storefront

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/hanse-go/hanse/examples/shop/served"
)

// Cookies. The session is a random name that the cart and the orders of a visitor are kept under; whoever has it is that visitor. The
// others are preferences, and what the next page is to say.
const (
	sessionCookie  = "kontor_session"
	currencyCookie = "kontor_currency"
	countryCookie  = "kontor_country"
	flashCookie    = "kontor_flash"

	keepSession = 30 * 24 * time.Hour
	keepFlash   = time.Minute
	maxFlash    = 3500 // bytes; browsers keep cookies up to 4096
)

var sessionPattern = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// session returns the visitor's session, "" when there is none yet.
func session(r *http.Request) string {
	if c, err := r.Cookie(sessionCookie); err == nil && sessionPattern.MatchString(c.Value) {
		return c.Value
	}
	return ""
}

// openSession returns the visitor's session and makes one when there is none. The cookie is renewed each time.
func openSession(w http.ResponseWriter, r *http.Request) string {
	id := session(r)
	if id == "" {
		id = rand.Text()
	}
	setCookie(w, r, sessionCookie, id, keepSession)
	return id
}

func setCookie(w http.ResponseWriter, r *http.Request, name, value string, keep time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(keep.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

var codePattern = regexp.MustCompile(`^[A-Z]{2,3}$`)

// preference returns a cookie that holds the code of a currency or a country, else the given one.
func preference(r *http.Request, cookie, otherwise string) string {
	if c, err := r.Cookie(cookie); err == nil && codePattern.MatchString(c.Value) {
		return c.Value
	}
	return otherwise
}

// flash is what the page after a form says: what came of it, and what served it.
type flash struct {
	Kind  string        `json:"kind"` // "good" or "bad"
	Text  string        `json:"text"`
	Link  string        `json:"link,omitempty"` // where more is to be seen, and what it is called
	Label string        `json:"label,omitempty"`
	Did   string        `json:"did"` // "POST /cart/items"
	Took  time.Duration `json:"took"`
	Calls []served.Call `json:"calls"`
}

// redirect sends the visitor on to a path of the shop, which then shows the flash.
func redirect(w http.ResponseWriter, r *http.Request, to string, f flash, log *served.Log) {
	f.Did, f.Took, f.Calls = r.Method+" "+r.URL.Path, log.Took(), log.Calls()
	text, err := json.Marshal(f)
	if len(text) > maxFlash*3/4 {
		f.Calls = nil
		text, err = json.Marshal(f)
	}
	if err == nil {
		setCookie(w, r, flashCookie, base64.RawURLEncoding.EncodeToString(text), keepFlash)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// takeFlash returns the flash and removes it, nil when there is none. It comes from the visitor's own cookie: it may say anything, to
// nobody else.
func takeFlash(w http.ResponseWriter, r *http.Request) *flash {
	c, err := r.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	setCookie(w, r, flashCookie, "", -time.Second)
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return nil
	}
	f := &flash{}
	if json.Unmarshal(text, f) != nil || !local(f.Link) {
		return nil
	}
	return f
}

// local tells whether a path stays in the shop. The empty one does.
func local(path string) bool {
	return path == "" || strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\\r\n")
}

// back returns the page that a form was on.
func back(r *http.Request) string {
	if to := r.PostFormValue("back"); to != "" && local(to) {
		return to
	}
	return "/"
}
