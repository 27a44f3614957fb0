package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/bigtransfer/bit/api"
)

// guard keeps out requests that do not come from whom they seem to. A server on a loopback address can be reached by
// every page that a browser on the same machine shows: by a name that resolves to 127.0.0.1 (DNS rebinding, which Host
// gives away), and by forms and scripts of other origins (which Sec-Fetch-Site and Origin give away).
type guard struct {
	token   []byte // SHA-256 of it, so that comparing takes the same time whatever is sent; nil for none
	hosts   []string
	origins []string
	cross   *http.CrossOriginProtection
}

func newGuard(c Config, hostname string) (*guard, error) {
	g := &guard{origins: c.AllowOrigins, cross: http.NewCrossOriginProtection()}
	if c.Token != "" {
		g.token = hash(c.Token)
	}
	for _, host := range append([]string{"localhost", hostname}, c.AllowHosts...) {
		g.hosts = append(g.hosts, strings.ToLower(host))
	}
	for _, origin := range c.AllowOrigins {
		if err := g.cross.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("origin %q: want one such as https://example.com: %w", origin, err)
		}
	}
	return g, nil
}

func hash(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// check refuses requests by their Host and their origin, and lets pages of allowed origins read answers.
func (g *guard) check(w http.ResponseWriter, r *http.Request) error {
	// A page that rebinds a name does not know the token, and browsers do not send it by themselves.
	if g.token == nil && !g.hostOK(r.Host) {
		return failf(http.StatusForbidden, "host %q is not served here: allow it by --allow-host, or use a token", r.Host)
	}
	if origin := r.Header.Get("Origin"); origin != "" && slices.Contains(g.origins, origin) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "Content-Disposition, Retry-After, "+api.HeaderLength)
		h.Add("Vary", "Origin")
	}
	if err := g.cross.Check(r); err != nil {
		return failf(http.StatusForbidden, "a page of another origin asks: allow it by --allow-origin: %v", err)
	}
	return nil
}

// hostOK reports whether a Host header is an address or an allowed name.
func (g *guard) hostOK(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && slices.Contains(g.hosts, host)
}

// preflight answers a browser that asks whether a page of an allowed origin may send something.
func (g *guard) preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Access-Control-Request-Method") == "" || !slices.Contains(g.origins, r.Header.Get("Origin")) {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID, "+api.HeaderLength+", "+headerTimeout)
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// checkToken refuses requests that do not carry the token.
func (g *guard) checkToken(w http.ResponseWriter, r *http.Request) error {
	if g.token == nil {
		return nil
	}
	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(hash(strings.TrimSpace(sent)), g.token) == 1 {
		return nil
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="bit"`)
	return failf(http.StatusUnauthorized, "this server wants its token: Authorization: Bearer …")
}
