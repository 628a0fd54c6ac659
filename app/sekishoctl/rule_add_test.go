package main

import "testing"

// The dynamic loaders' files, as distributions name them.
func TestLoader(t *testing.T) {
	for path, is := range map[string]bool{
		"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": true,
		"/usr/lib/ld-linux-aarch64.so.1":                 true,
		"/lib64/ld64.so.2":                               true,
		"/lib/x86_64-linux-gnu/ld-2.31.so":               true,
		"/lib/ld-musl-x86_64.so.1":                       true,
		"/usr/bin/ld.so":                                 true,
		"/usr/bin/ld":                                    false,
		"/usr/lib/libld.so.1":                            false,
		"/usr/bin/old.so":                                false,
		"/usr/bin/ld-wrapper":                            false,
	} {
		if loader.MatchString(path) != is {
			t.Errorf("%s: %v", path, !is)
		}
	}
}
