module github.com/bigtransfer/bit

go 1.26.0

require (
	github.com/bep/imagemeta v1.0.1
	github.com/goccy/go-yaml v1.19.2
	golang.org/x/image v0.47.0
	golang.org/x/sys v0.49.0
)

require golang.org/x/text v0.43.0 // indirect
