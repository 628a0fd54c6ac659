#!/bin/sh
# Writes sekishopb/*.pb.go from sekisho.proto. The plugins are those of go.mod, built
# into a folder that is gone afterwards, so that nothing has to be installed but protoc.
set -eu
plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
CGO_ENABLED=0 go build -o "$plugins/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
PATH="$plugins:$PATH" protoc --go_out=sekishopb --go_opt=paths=source_relative \
	--go-grpc_out=sekishopb --go-grpc_opt=paths=source_relative sekisho.proto
