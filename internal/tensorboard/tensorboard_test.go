package tensorboard_test

import (
	"bufio"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/bigtransfer/bit/internal/tensorboard"
	"github.com/bigtransfer/bit/internal/tfrecord"
)

// eventType is tensorflow.Event as a protocol buffer library sees it: the fields, numbers and types of
// tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto, as far as scalars need them.
func eventType(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.FieldDescriptorProto {
		label := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		if name == "value" {
			label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		}
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &kind, Label: &label}
		if of != "" {
			f.TypeName = &of
		}
		return f
	}
	message := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: &name, Field: fields}
	}
	const (
		double = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
		float  = descriptorpb.FieldDescriptorProto_TYPE_FLOAT
		int64_ = descriptorpb.FieldDescriptorProto_TYPE_INT64
		int32_ = descriptorpb.FieldDescriptorProto_TYPE_INT32 // for the enumeration, which is read alike
		text   = descriptorpb.FieldDescriptorProto_TYPE_STRING
		nested = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("event.proto"), Package: proto.String("tensorflow"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			message("Value", field("tag", 1, text, ""), field("simple_value", 2, float, "")),
			message("Summary", field("value", 1, nested, ".tensorflow.Value")),
			message("SessionLog", field("status", 1, int32_, "")),
			message("Event", field("wall_time", 1, double, ""), field("step", 2, int64_, ""), field("file_version", 3, text, ""),
				field("summary", 5, nested, ".tensorflow.Summary"), field("session_log", 7, nested, ".tensorflow.SessionLog")),
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Event")
}

// event is what a reader finds.
type event struct {
	step    int64
	version string
	status  int64
	scalars []tensorboard.Scalar
}

// read reads the files of a folder in the order of their names, by the reader of TFRecords and a descriptor.
func read(t *testing.T, dir string) (files [][]event) {
	t.Helper()
	names, err := fs.Glob(os.DirFS(dir), "events.out.tfevents.*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	kind := eventType(t)
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var events []event
		records := tfrecord.NewReader(bufio.NewReader(f))
		for {
			record, err := records.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			m := dynamicpb.NewMessage(kind)
			if err := proto.Unmarshal(record, m); err != nil {
				t.Fatal(err)
			}
			if unknown := m.GetUnknown(); len(unknown) > 0 {
				t.Errorf("fields that no descriptor has: % x", unknown)
			}
			get := func(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
				return m.Get(m.Descriptor().Fields().ByName(name))
			}
			if at := get(m, "wall_time").Float(); time.Since(time.UnixMilli(int64(at*1000))).Abs() > time.Minute {
				t.Errorf("wall time %v is not now", at)
			}
			e := event{step: get(m, "step").Int(), version: get(m, "file_version").String(), status: get(get(m, "session_log").Message(), "status").Int()}
			values := get(get(m, "summary").Message(), "value").List()
			for i := range values.Len() {
				v := values.Get(i).Message()
				e.scalars = append(e.scalars, tensorboard.Scalar{Tag: get(v, "tag").String(), Value: get(v, "simple_value").Float()})
			}
			events = append(events, e)
		}
		files = append(files, events)
	}
	return files
}

// Two processes of one run write a file each, and a reader with nothing of ours but the framing finds what went in.
func TestEventFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs", "run [1") // a name, and no pattern
	for _, start := range []int{0, 4} {
		w, err := tensorboard.Create(dir, start)
		if err != nil {
			t.Fatal(err)
		}
		for step := start + 1; step < start+3; step++ {
			if err := w.Add(step, tensorboard.Scalar{Tag: "train/loss", Value: 2.5}, tensorboard.Scalar{Tag: "train/rate", Value: float64(step) / 1024}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Add(1<<40, tensorboard.Scalar{Tag: "val/größe", Value: -1}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files := read(t, dir)
	if len(files) != 2 {
		t.Fatalf("%d files, want 2", len(files))
	}
	for i, start := range []int64{0, 4} {
		want := []event{{version: "brain.Event:2"}, {step: start, status: 1}}
		for step := start + 1; step < start+3; step++ {
			want = append(want, event{step: step, scalars: []tensorboard.Scalar{{Tag: "train/loss", Value: 2.5}, {Tag: "train/rate", Value: float64(step) / 1024}}})
		}
		want = append(want, event{step: 1 << 40, scalars: []tensorboard.Scalar{{Tag: "val/größe", Value: -1}}})
		equal := func(a, b event) bool {
			return a.step == b.step && a.version == b.version && a.status == b.status && slices.Equal(a.scalars, b.scalars)
		}
		if !slices.EqualFunc(files[i], want, equal) {
			t.Errorf("file %d: %+v\nwant %+v", i, files[i], want)
		}
	}
}

func TestCreateErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := tensorboard.Create(file, 0); err == nil {
		t.Error("a file was taken for a folder")
	}
}
