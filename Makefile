SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help generate build run test test-kernels bench lint pictures clean FORCE

GO := .ci/go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FLAGS := -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)"
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

help: ## says what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## the three programs, into build/
	@.ci/install build
	$(MAKE) --no-print-directory build/sekishod build/sekishoctl build/sekisho

# The go command knows by itself what is current.
build/sekishod build/sekishoctl: build/%: FORCE
	CGO_ENABLED=0 $(GO) build $(FLAGS) -o $@ ./app/$*

build/sekisho: FORCE
	CGO_ENABLED=1 $(GO) build $(FLAGS) -o $@ ./app/sekisho

build/lab/%: FORCE
	CGO_ENABLED=0 $(GO) build $(FLAGS) -o $@ ./service/lab/$*

FORCE:

run: ## tries it: on your display, or by itself where there is none
	@.ci/install test
	@$(MAKE) --no-print-directory build/sekishod build/sekishoctl build/sekisho build/lab/demo
	@.ci/as-root build/lab/demo -programs build -pictures build/demo

test: ## every test, as root, in network namespaces and control groups of its own
	@.ci/install test kernels
	$(GO) vet ./...
	$(GO) test -json -vet=off -count=1 -timeout 18m -exec "$(CURDIR)/.ci/as-root" ./... | $(GO) run .ci/count.go

test-kernels: ## the whole path on every kernel that is supported, under qemu
	@.ci/install build kernels
	SEKISHO_KERNELS=all $(GO) test -json -vet=off -count=1 -timeout 15m -exec "$(CURDIR)/.ci/as-root" ./service/lab/stock | $(GO) run .ci/count.go

bench: ## measures, into build/bench.json and on the terminal
	@.ci/install test
	@$(MAKE) --no-print-directory build/sekishod build/sekishoctl build/lab/bench
	$(GO) test -run '^$$' -bench . -benchtime 200ms -benchmem -vet=off -exec "$(CURDIR)/.ci/as-root" $$($(GO) list ./app/... ./service/... ./store/... ./ui/view/...) | grep -v 'no test files' | tee build/bench.txt
	.ci/as-root build/lab/bench -programs build -benchmarks build/bench.txt -o build/bench.json

lint: ## what .golangci.yml lists
	@.ci/install build
	$(GO) run $(LINT) run ./...

generate: ## the generated code, from its sources
	@.ci/install build generate
	$(GO) generate ./...

pictures: ## every screen, into build/pictures/
	@.ci/install build
	$(GO) run ./ui/pictures build/pictures

clean: ## removes build/
	rm -rf build
