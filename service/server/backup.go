package server

import (
	"bytes"
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
)

const (
	// backupChunk is how much of a backup travels in one message, in bytes.
	backupChunk = 256 << 10
	// maxBackup bounds what Restore takes, in bytes.
	maxBackup = 4 << 30
)

// Backup sends the file in pieces.
func (s *Server) Backup(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.Chunk]) error {
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(*sekishopb.Chunk)) error {
		return s.backend.Backup(ctx, chunkWriter{ctx, push})
	}, stream.Send)
}

// chunkWriter cuts what is written into messages.
type chunkWriter struct {
	ctx  context.Context
	push func(*sekishopb.Chunk)
}

func (w chunkWriter) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		if err := w.ctx.Err(); err != nil {
			return written, err
		}
		n := min(len(b), backupChunk)
		w.push(&sekishopb.Chunk{Content: bytes.Clone(b[:n])}) // the writer's buffer is used again
		b, written = b[n:], written+n
	}
	return written, nil
}

// Restore hands the pieces to the backend as one file, which is read as untrusted.
func (s *Server) Restore(stream grpc.ClientStreamingServer[sekishopb.Chunk, sekishopb.Empty]) error {
	if err := s.backend.Restore(stream.Context(), &chunkReader{stream: stream}); err != nil {
		return err
	}
	s.log.Info("backup restored", "by", caller(stream.Context()).User)
	return stream.SendAndClose(&sekishopb.Empty{})
}

// chunkReader reads the messages of a stream as one file. A stream that breaks off is
// an error, never the end of the file.
type chunkReader struct {
	stream grpc.ClientStreamingServer[sekishopb.Chunk, sekishopb.Empty]
	rest   []byte
	read   int64
}

func (r *chunkReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		m, err := r.stream.Recv()
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		r.rest = m.GetContent()
		if r.read += int64(len(r.rest)); r.read > maxBackup {
			return 0, api.Errorf(api.BadRequest, "the backup is too big: at most %d bytes", int64(maxBackup))
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
