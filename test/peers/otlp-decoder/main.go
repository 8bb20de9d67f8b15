// otlp-decoder reads OTLP requests as the official protobuf bindings do, for whoever wants to know what others will
// make of their bytes.
//
//	stdin    ExportTraceServiceRequests, each after its length (uint32, big-endian)
//	stdout   for each a line: {"request": …} or {"error": "…"}
//
// It accepts less than OTLP receivers must: strings have to be UTF-8, nothing may be deeper than the 100 messages at
// which the protobuf libraries of C++ and Java stop, there may be no field that OTLP does not know, and ids have their
// size.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const maxDepth = 100

type answer struct {
	Request json.RawMessage `json:"request,omitempty"`
	Error   string          `json:"error,omitempty"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for {
		request, err := next(in)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		if err := lines.Encode(answerTo(request)); err != nil {
			log.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			log.Fatal(err)
		}
	}
}

func next(in io.Reader) ([]byte, error) {
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	request := make([]byte, length)
	_, err := io.ReadFull(in, request)
	return request, err
}

func answerTo(request []byte) answer {
	canonical, err := decode(request)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Request: canonical}
}

// decode returns the request as JSON in one fixed form: fields in the order of their numbers, no whitespace.
func decode(request []byte) ([]byte, error) {
	message := &collector.ExportTraceServiceRequest{}
	if err := (proto.UnmarshalOptions{RecursionLimit: maxDepth}).Unmarshal(request, message); err != nil {
		return nil, err
	}
	if err := check(message.ProtoReflect(), "request"); err != nil {
		return nil, err
	}
	text, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(message)
	if err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, text)
	return compact.Bytes(), err
}

// sizes are those that OTLP allows for the ids of spans and links. Only a parent may be missing.
var sizes = map[protoreflect.Name]int{"trace_id": 16, "span_id": 8, "parent_span_id": 8}

func check(message protoreflect.Message, path string) error {
	if unknown := message.GetUnknown(); len(unknown) > 0 {
		return fmt.Errorf("%s: %d bytes of unknown fields, beginning with %x", path, len(unknown), unknown[0])
	}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if err := checkField(field, message, fmt.Sprintf("%s.%s", path, field.Name())); err != nil {
			return err
		}
	}
	return nil
}

func checkField(field protoreflect.FieldDescriptor, message protoreflect.Message, path string) error {
	if size, isID := sizes[field.Name()]; isID {
		length := len(message.Get(field).Bytes())
		if length != size && (length != 0 || field.Name() != "parent_span_id") {
			return fmt.Errorf("%s: %d bytes", path, length)
		}
		return nil
	}
	if field.Kind() != protoreflect.MessageKind || !message.Has(field) {
		return nil
	}
	if !field.IsList() {
		return check(message.Get(field).Message(), path)
	}
	list := message.Get(field).List()
	for i := range list.Len() {
		if err := check(list.Get(i).Message(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}
