// Package cases holds what every Go client runs, and the command line of the contract in
// ../../README.md.
package cases

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const baseMs = 1_600_000_000_000

// For a transaction to be refused.
const soon = 20 * time.Second

// Header of a record; a nil value is null.
type Header struct {
	Name  string
	Value []byte
}

// Record is what is sent and what comes back. Nil bytes are null. TimestampMs of zero lets the
// client choose; Offset is set on reading only.
type Record struct {
	Key, Value  []byte
	Headers     []Header
	TimestampMs int64
	Offset      int64
}

// Client does one thing a call and waits until it is done. A broker's refusal is an error whose
// Refusal name Kafka gave it. Send, Read and SendLater keep their connections from call to call.
type Client interface {
	Create(topic string, partitions int) error
	Delete(topic string) error
	Topics() ([]string, error)
	Partitions(topic string) (int, error)
	Send(topic string, records []Record, codec string, idempotent bool) error
	// Transaction has a producer of its own, whose transactional id is the topic's name.
	Transaction(topic string, record Record) error
	Read(topic string, partition int, offset int64, count int, body func(Record)) error
	Ends(topic string, partition int) (earliest, latest int64, err error)
	// OffsetAt gives -1 when no record is as late as that.
	OffsetAt(topic string, timestampMs int64) (int64, error)
}

// Refusal is the broker's error by its name, as TOPIC_ALREADY_EXISTS.
type Refusal string

func (r Refusal) Error() string { return string(r) }

type suite struct {
	client Client
	prefix string
}

// Main runs the contract's command line.
func Main(open func(bootstrap string) (Client, error)) {
	client, err := open(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	switch args := os.Args[3:]; os.Args[2] {
	case "send":
		var count int
		if count, err = sendFile(client, args[0], args[1], args[2]); err == nil {
			fmt.Println("sent", count)
		}
	case "receive":
		var digest string
		count, _ := strconv.Atoi(args[1])
		if digest, err = receive(client, args[0], count); err == nil {
			fmt.Println("sha256", digest)
		}
	default:
		s := suite{client, args[0]}
		for _, name := range args[1:] {
			if failure := s.run(name); failure != nil {
				why := strings.ReplaceAll(failure.Error(), "\n", " ")
				fmt.Printf("FAIL %s: %s\n", name, why)
			} else {
				fmt.Println("ok", name)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (s suite) run(name string) error {
	if codec, found := strings.CutPrefix(name, "codec-"); found {
		return s.codec(codec)
	}
	run, found := map[string]func() error{
		"create": s.create, "auto-create": s.autoCreate, "keys": s.keys, "nulls": s.nulls,
		"headers": s.headers, "timestamps": s.timestamps, "large": s.large,
		"too-large": s.tooLarge, "seek-offset": s.seekOffset, "seek-time": s.seekTime,
		"idempotent": s.idempotent, "list-offsets": s.listOffsets, "delete": s.delete,
		"transactional": s.transactional,
		"reconnect":     s.reconnect,
	}[name]
	if !found {
		return fmt.Errorf("no such case")
	}
	return run()
}

func (s suite) topic(name string) string {
	return s.prefix + "-" + name
}

// roundTrip creates a case's topic, sends, reads back, and compares keys, values and headers.
func (s suite) roundTrip(name string, records []Record, codec string, idempotent bool) error {
	topic := s.topic(name)
	if err := s.client.Create(topic, 1); err != nil {
		return err
	}
	if err := s.client.Send(topic, records, codec, idempotent); err != nil {
		return err
	}
	return s.same(topic, 0, records)
}

func (s suite) same(topic string, offset int64, records []Record) error {
	got, err := s.read(topic, 0, offset, len(records))
	if err != nil {
		return err
	}
	for n, r := range records {
		equal := sameBytes(r.Key, got[n].Key) && sameBytes(r.Value, got[n].Value) &&
			(r.TimestampMs == 0 || r.TimestampMs == got[n].TimestampMs) &&
			got[n].Offset == offset+int64(n) && len(r.Headers) == len(got[n].Headers)
		for h := 0; equal && h < len(r.Headers); h++ {
			a, b := r.Headers[h], got[n].Headers[h]
			equal = a.Name == b.Name && sameBytes(a.Value, b.Value)
		}
		if !equal {
			return fmt.Errorf("record %d: got %.200v, expected %.200v", n, got[n], r)
		}
	}
	return nil
}

func (s suite) read(topic string, partition int, offset int64, count int) ([]Record, error) {
	var records []Record
	err := s.client.Read(topic, partition, offset, count, func(r Record) {
		records = append(records, r)
	})
	return records, err
}

func sameBytes(a, b []byte) bool {
	return (a == nil) == (b == nil) && bytes.Equal(a, b)
}

func (s suite) create() error {
	topic := s.topic("create")
	if err := s.client.Create(topic, 3); err != nil {
		return err
	}
	err := eventually("three partitions", func() (bool, error) {
		count, err := s.client.Partitions(topic)
		return count == 3, err
	})
	if err != nil {
		return err
	}
	return refused("TOPIC_ALREADY_EXISTS", s.client.Create(topic, 3))
}

func (s suite) autoCreate() error {
	topic := s.topic("auto-create")
	records := []Record{{Value: []byte("first")}}
	if err := s.client.Send(topic, records, "none", false); err != nil {
		return err
	}
	return s.same(topic, 0, records)
}

func (s suite) codec(codec string) error {
	var records []Record
	for n := range 300 {
		records = append(records, Record{Key: fmt.Appendf(nil, "k%d", n), Value: payload(n)})
	}
	return s.roundTrip("codec-"+codec, records, codec, false)
}

func (s suite) keys() error {
	topic := s.topic("keys")
	if err := s.client.Create(topic, 3); err != nil {
		return err
	}
	var records []Record
	for n := range 70 {
		key := fmt.Appendf(nil, "key%d", n%7)
		records = append(records, Record{Key: key, Value: fmt.Append(nil, n)})
	}
	if err := s.client.Send(topic, records, "none", false); err != nil {
		return err
	}
	values, places := map[string]string{}, map[string][]int{}
	for partition := range 3 {
		earliest, latest, err := s.client.Ends(topic, partition)
		if err != nil {
			return err
		}
		got, err := s.read(topic, partition, earliest, int(latest-earliest))
		if err != nil {
			return err
		}
		for _, r := range got {
			key := string(r.Key)
			values[key] += string(r.Value) + " "
			if !slices.Contains(places[key], partition) {
				places[key] = append(places[key], partition)
			}
		}
	}
	for n := range 7 {
		key, wanted := fmt.Sprintf("key%d", n), ""
		for m := n; m < 70; m += 7 {
			wanted += fmt.Sprint(m, " ")
		}
		if values[key] != wanted || len(places[key]) != 1 {
			return fmt.Errorf("%s: got %s in partitions %v", key, values[key], places[key])
		}
	}
	return nil
}

func (s suite) nulls() error {
	records := []Record{
		{Value: []byte("v")}, {Key: []byte("k")}, {}, {Key: []byte{}, Value: []byte{}},
	}
	return s.roundTrip("nulls", records, "none", false)
}

func (s suite) headers() error {
	headers := []Header{
		{"a", []byte("1")}, {"b", []byte{}}, {"a", []byte("2")}, {"\u00e9", []byte{255, 0}},
		{"n", nil},
	}
	return s.roundTrip("headers", []Record{{Value: []byte("v"), Headers: headers}}, "none", false)
}

func (s suite) timestamps() error {
	return s.roundTrip("timestamps", stamped(10), "none", false)
}

func (s suite) large() error {
	value := make([]byte, 1_000_000)
	for n := range value {
		value[n] = byte(n * 31 % 251)
	}
	return s.roundTrip("large", []Record{{Value: value}}, "none", false)
}

func (s suite) tooLarge() error {
	topic := s.topic("too-large")
	if err := s.client.Create(topic, 1); err != nil {
		return err
	}
	oversized := []Record{{Value: make([]byte, 1_200_000)}}
	err := refused("MESSAGE_TOO_LARGE", s.client.Send(topic, oversized, "none", false))
	if err != nil {
		return err
	}
	small := []Record{{Value: []byte("small")}}
	if err := s.client.Send(topic, small, "none", false); err != nil {
		return err
	}
	return s.same(topic, 0, small)
}

func (s suite) seekOffset() error {
	records := numbers(0, 100)
	if err := s.roundTrip("seek-offset", records, "none", false); err != nil {
		return err
	}
	for _, offset := range []int64{42, 0, 99} {
		err := s.same(s.topic("seek-offset"), offset, records[offset:offset+1])
		if err != nil {
			return fmt.Errorf("from %d: %w", offset, err)
		}
	}
	return nil
}

func (s suite) seekTime() error {
	if err := s.roundTrip("seek-time", stamped(100), "none", false); err != nil {
		return err
	}
	table := [][2]int64{{0, 0}, {42_000, 42}, {42_500, 43}, {99_000, 99}, {99_001, -1}}
	for _, row := range table {
		offset, err := s.client.OffsetAt(s.topic("seek-time"), baseMs+row[0])
		if err != nil {
			return err
		}
		if offset != row[1] {
			return fmt.Errorf("at %d: got %d, expected %d", row[0], offset, row[1])
		}
	}
	return nil
}

func (s suite) idempotent() error {
	topic := s.topic("idempotent")
	if err := s.client.Create(topic, 1); err != nil {
		return err
	}
	for n := 0; n < 500; n += 100 {
		if err := s.client.Send(topic, numbers(n, n+100), "none", true); err != nil {
			return err
		}
	}
	if err := s.same(topic, 0, numbers(0, 500)); err != nil {
		return err
	}
	return s.ends(topic, 500)
}

func (s suite) transactional() error {
	topic := s.topic("transactional")
	if err := s.client.Create(topic, 1); err != nil {
		return err
	}
	start := time.Now()
	err := s.client.Transaction(topic, numbers(0, 1)[0])
	var refusal Refusal
	if errors.As(err, &refusal) && refusal == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" {
		if took := time.Since(start); took > soon {
			return fmt.Errorf("refused after %v", took)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return s.same(topic, 0, numbers(0, 1))
}

func (s suite) listOffsets() error {
	topic := s.topic("list-offsets")
	if err := s.client.Create(topic, 1); err != nil {
		return err
	}
	if err := s.ends(topic, 0); err != nil {
		return err
	}
	if err := s.client.Send(topic, numbers(0, 7), "none", false); err != nil {
		return err
	}
	return s.ends(topic, 7)
}

func (s suite) ends(topic string, wanted int64) error {
	earliest, latest, err := s.client.Ends(topic, 0)
	if err == nil && (earliest != 0 || latest != wanted) {
		err = fmt.Errorf("ends: got %d and %d, expected 0 and %d", earliest, latest, wanted)
	}
	return err
}

func (s suite) delete() error {
	topic := s.topic("delete")
	if err := s.client.Create(topic, 1); err != nil {
		return err
	}
	listed := func() (bool, error) {
		topics, err := s.client.Topics()
		return slices.Contains(topics, topic), err
	}
	if err := eventually("topic is listed", listed); err != nil {
		return err
	}
	if err := s.client.Delete(topic); err != nil {
		return err
	}
	return eventually("topic is gone", func() (bool, error) {
		found, err := listed()
		return !found, err
	})
}

func (s suite) reconnect() error {
	topic := s.topic("reconnect")
	if err := s.client.Create(topic, 1); err != nil {
		return err
	}
	if err := s.client.Send(topic, numbers(0, 10), "none", true); err != nil {
		return err
	}
	if err := s.same(topic, 0, numbers(0, 10)); err != nil {
		return err
	}
	fmt.Println("restart")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil && err != io.EOF {
		return err
	}
	if err := s.client.Send(topic, numbers(10, 20), "none", true); err != nil {
		return err
	}
	if err := s.same(topic, 10, numbers(10, 20)); err != nil {
		return err
	}
	return s.same(topic, 0, numbers(0, 20))
}

func numbers(from, to int) []Record {
	var records []Record
	for n := from; n < to; n++ {
		records = append(records, Record{Value: fmt.Append(nil, n)})
	}
	return records
}

func stamped(count int) []Record {
	records := numbers(0, count)
	for n := range records {
		records[n].TimestampMs = baseMs + int64(n)*1000
	}
	return records
}

// payload gives bytes of every value and many lengths, that compress a little.
func payload(n int) []byte {
	value := make([]byte, 1+n*37%1500)
	for j := range value {
		value[j] = byte((n + j*j) % 251)
	}
	return value
}

func refused(name string, err error) error {
	var refusal Refusal
	if errors.As(err, &refusal) && string(refusal) == name {
		return nil
	}
	return fmt.Errorf("got %v, expected %s", err, name)
}

func eventually(what string, condition func() (bool, error)) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if holds, err := condition(); err != nil || holds {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within ten seconds", what)
		}
	}
}

func sendFile(client Client, topic, codec, path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines, count := bufio.NewScanner(file), 0
	lines.Buffer(nil, 1<<20)
	var records []Record
	for lines.Scan() {
		records = append(records, Record{Value: bytes.Clone(lines.Bytes())})
		if len(records) == 100_000 {
			if err := client.Send(topic, records, codec, true); err != nil {
				return count, err
			}
			count += len(records)
			records = records[:0]
		}
	}
	if err := client.Send(topic, records, codec, true); err != nil {
		return count, err
	}
	return count + len(records), lines.Err()
}

func receive(client Client, topic string, count int) (string, error) {
	digest := sha256.New()
	err := client.Read(topic, 0, 0, count, func(r Record) {
		digest.Write(r.Value)
		digest.Write([]byte{'\n'})
	})
	return fmt.Sprintf("%x", digest.Sum(nil)), err
}
