module github.com/bigtransfer/bit

go 1.26
