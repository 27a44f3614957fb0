package serve

import (
	"net/http"
	"strings"
	"testing"
)

// Only the token opens the server, and probes need none.
func TestToken(t *testing.T) {
	s, h := newServer(t, func(c *Config) { c.Token = "open sesame" })
	file := references(t)[0].file
	for sent, status := range map[string]int{
		"": 401, "open sesame": 401, "Bearer": 401, "Bearer ": 401, "Bearer open": 401, "Bearer open sesame!": 401, "Bearer Open Sesame": 401,
		"Basic open sesame": 401, "Bearer open sesame": 200, "bearer open sesame": 200,
	} {
		a := send(t, "POST", h.URL+"/v1/classify", file, "Authorization", sent)
		if a.status != status || (a.header.Get("WWW-Authenticate") == "") == (status == 401) {
			t.Errorf("Authorization %q: status %d, want %d", sent, a.status, status)
		}
	}
	public := 0
	for _, r := range s.routes {
		want := http.StatusUnauthorized
		if r.Public {
			want = http.StatusOK
			public++
		}
		path := map[string]string{"/{$}": "/", "/v2/models/{model}/ready": "/v2/models/tiny/ready"}[r.Pattern]
		if path == "" {
			path = r.Pattern
		}
		if a := send(t, r.Method, h.URL+path, nil); a.status != want {
			t.Errorf("%s %s without token: status %d, want %d", r.Method, r.Pattern, a.status, want)
		}
	}
	if public != 6 { // /healthz, /readyz, three of the Open Inference Protocol, /openapi.json
		t.Errorf("%d routes need no token, want 6", public)
	}
	// Whoever has the token may call the server what they like.
	if a := send(t, "GET", h.URL+"/v1/models", nil, "Host", "bit.example.com", "Authorization", "Bearer open sesame"); a.status != 200 {
		t.Errorf("another host with the token: status %d", a.status)
	}
}

// A server without token answers to its own names alone, so that no page can make a name of its own mean it.
func TestHost(t *testing.T) {
	_, h := newServer(t, func(c *Config) { c.AllowHosts = []string{"bit.example.com"} })
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "10.1.2.3:80": 200, "bit.example.com": 200,
		"bit.example.com.:80": 200, "evil.example.com": 403, "localhost.evil.com": 403, "127.0.0.1.evil.com": 403, "evil.com:127": 403,
	} {
		if a := send(t, "GET", h.URL+"/v1/models", nil, "Host", host); a.status != status {
			t.Errorf("Host %s: status %d, want %d", host, a.status, status)
		}
	}
}

// Pages of other origins cannot use the server, unless they are allowed to.
func TestOrigin(t *testing.T) {
	_, h := newServer(t, func(c *Config) { c.AllowOrigins = []string{"https://good.example.com"} })
	file := references(t)[0].file
	for _, c := range []struct {
		headers []string
		status  int
		allowed string
	}{
		{nil, 200, ""},
		{[]string{"Origin", h.URL}, 200, ""},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200, ""},
		{[]string{"Sec-Fetch-Site", "none"}, 200, ""},
		{[]string{"Origin", "https://evil.example.com"}, 403, ""},
		{[]string{"Origin", "null"}, 403, ""},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
		{[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"}, 403, ""},
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://good.example.com"}, 200, "https://good.example.com"},
	} {
		a := send(t, "POST", h.URL+"/v1/classify", file, c.headers...)
		if got := a.header.Get("Access-Control-Allow-Origin"); a.status != c.status || got != c.allowed {
			t.Errorf("%q: status %d and allowed origin %q, want %d and %q", c.headers, a.status, got, c.status, c.allowed)
		}
	}
	ask := []string{"Access-Control-Request-Method", "POST", "Origin"}
	if a := send(t, "OPTIONS", h.URL+"/v1/classify", nil, append(ask, "https://good.example.com")...); a.status != 204 || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PATCH") {
		t.Errorf("preflight of an allowed origin: status %d", a.status)
	}
	if a := send(t, "OPTIONS", h.URL+"/v1/classify", nil, append(ask, "https://evil.example.com")...); a.status < 400 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of another origin: status %d", a.status)
	}
}
