// Package api has the messages that bit serve and its clients exchange, and a client.
//
//	c := &api.Client{Server: "http://127.0.0.1:8080"}
//	result, err := c.Classify(ctx, picture, api.Options{Top: 5})
//
// It imports nothing else of this module: a program that asks a server carries no network of its own. The messages are
// described for other languages by the document that a server gives at /openapi.json.
package api
