package serve

import (
	"net/http"
	"testing"
)

func described(t testing.TB, h http.Handler) http.Handler { return h }
