# One word each; the work is in scripts/. Settings: PG=15|16|17|18, LAKE_CACHE=, CARGO_TARGET_DIR=, PG_CONFIG= (install).
.PHONY: help setup build install package demo demo-stop psql test test-all bench bench-vector bench-series lint fmt clean

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: ## install what is missing (safe to repeat)
	@scripts/setup

build: setup ## compile the extension into this clone's private Postgres
	@scripts/build

install: setup ## build a release and install it into your own server (PG_CONFIG=)
	@scripts/install

package: setup ## make a Debian package of a release, in target/packages
	@scripts/package

demo: build ## all three stores on real data, in a private cluster
	@scripts/demo

demo-stop: ## stop the demo's cluster
	@scripts/demo-stop

psql: ## open psql on the demo
	@scripts/demo-psql

test: setup ## every test there is
	@scripts/test

test-all: ## tests and demo on every supported PostgreSQL (VERSIONS="15 17" picks some)
	@scripts/test-all $(VERSIONS)

bench: setup ## measure against the raw engines (release build)
	@scripts/bench

bench-vector: setup ## measure vector search only (recall and latency)
	@scripts/bench vector_search vector_more

bench-series: setup ## measure time series only
	@scripts/bench $(filter-out series_common,$(basename $(notdir $(wildcard benches/series_*.py))))

lint: setup ## formatting, clippy, shellcheck, rustdoc
	@scripts/lint

fmt: ## format Rust code
	@cargo fmt --all

clean: demo-stop ## remove build output and private clusters
	@scripts/clean
