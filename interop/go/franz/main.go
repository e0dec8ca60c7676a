// franz-go: the newest request versions, as the Java client's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"interop/cases"
)

const timeout = 30 * time.Second

type client struct {
	bootstrap string
	admin     *kadm.Client
	producers map[string]*kgo.Client
	// The consumer and the partition that it reads.
	consumer *kgo.Client
	assigned string
}

func main() {
	if len(os.Args) > 2 {
		switch os.Args[2] {
		case "stream":
			stream(os.Args[1], os.Args[3])
			return
		case "member":
			members(os.Args[1], os.Args[3], os.Args[4:])
			return
		case "administer":
			administer(os.Args[1])
			return
		case "feed":
			feed(os.Args[1])
			return
		case "relay":
			relay(os.Args[1])
			return
		}
	}
	cases.Main(func(bootstrap string) (cases.Client, error) {
		c := &client{bootstrap: bootstrap, producers: map[string]*kgo.Client{}}
		plain, err := kgo.NewClient(c.options()...)
		c.admin = kadm.NewClient(plain)
		return c, err
	})
}

func (c *client) options(more ...kgo.Opt) []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(c.bootstrap),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
	}, more...)
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}

// named turns an answer's error into the name that the cases look for.
func named(err error) error {
	var answer *kerr.Error
	if errors.As(err, &answer) {
		return cases.Refusal(answer.Message)
	}
	return err
}

func (c *client) Transaction(topic string, record cases.Record) error {
	producer, err := kgo.NewClient(c.options(kgo.TransactionalID(topic))...)
	if err != nil {
		return err
	}
	defer producer.Close()
	ctx, cancel := within()
	defer cancel()
	if err := producer.BeginTransaction(); err != nil {
		return named(err)
	}
	sent := producer.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: record.Value})
	if err := sent.FirstErr(); err != nil {
		return named(err)
	}
	return named(producer.EndTransaction(ctx, kgo.TryCommit))
}

func (c *client) Create(topic string, partitions int) error {
	ctx, cancel := within()
	defer cancel()
	_, err := c.admin.CreateTopic(ctx, int32(partitions), 1, nil, topic)
	return named(err)
}

func (c *client) Delete(topic string) error {
	ctx, cancel := within()
	defer cancel()
	_, err := c.admin.DeleteTopic(ctx, topic)
	return named(err)
}

func (c *client) Topics() ([]string, error) {
	ctx, cancel := within()
	defer cancel()
	topics, err := c.admin.ListTopics(ctx)
	return topics.Names(), err
}

func (c *client) Partitions(topic string) (int, error) {
	ctx, cancel := within()
	defer cancel()
	topics, err := c.admin.ListTopics(ctx, topic)
	return len(topics[topic].Partitions), err
}

func (c *client) producer(codec string, idempotent bool) (*kgo.Client, error) {
	name := fmt.Sprint(codec, idempotent)
	if c.producers[name] == nil {
		codecs := map[string]kgo.CompressionCodec{
			"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
			"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(),
			"zstd": kgo.ZstdCompression(),
		}
		options := c.options(
			kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerLinger(5*time.Millisecond),
			kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(-1),
			kgo.MaxBufferedRecords(200_000))
		if !idempotent {
			// The client's own limit has to let through what the broker shall refuse.
			options = append(
				options, kgo.ProducerBatchMaxBytes(2_000_000), kgo.DisableIdempotentWrite())
		}
		producer, err := kgo.NewClient(options...)
		if err != nil {
			return nil, err
		}
		c.producers[name] = producer
	}
	return c.producers[name], nil
}

func (c *client) Send(topic string, records []cases.Record, codec string, idempotent bool) error {
	producer, err := c.producer(codec, idempotent)
	if err != nil {
		return err
	}
	list := make([]*kgo.Record, 0, len(records))
	for _, r := range records {
		record := &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value}
		if r.TimestampMs != 0 {
			record.Timestamp = time.UnixMilli(r.TimestampMs)
		}
		for _, h := range r.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Name, Value: h.Value})
		}
		list = append(list, record)
	}
	ctx, cancel := within()
	defer cancel()
	return named(producer.ProduceSync(ctx, list...).FirstErr())
}

func (c *client) Read(
	topic string, partition int, offset int64, count int, body func(cases.Record),
) error {
	if err := c.assign(topic, partition, offset); err != nil {
		return err
	}
	for count > 0 {
		ctx, cancel := within()
		fetches := c.consumer.PollFetches(ctx)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d records did not come: %w", count, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			// What was buffered before the last change of place may still come.
			if count > 0 && r.Topic == topic && r.Offset == offset {
				count--
				offset++
				body(record(r))
			}
		})
	}
	return nil
}

func (c *client) assign(topic string, partition int, offset int64) error {
	if c.consumer == nil {
		consumer, err := kgo.NewClient(c.options(kgo.FetchMaxWait(100 * time.Millisecond))...)
		if err != nil {
			return err
		}
		c.consumer = consumer
	}
	name := fmt.Sprint(topic, "/", partition)
	place := kgo.EpochOffset{Epoch: -1, Offset: offset}
	if name == c.assigned {
		c.consumer.SetOffsets(map[string]map[int32]kgo.EpochOffset{
			topic: {int32(partition): place},
		})
		return nil
	}
	c.consumer.PurgeTopicsFromClient(c.consumer.GetConsumeTopics()...)
	c.consumer.AddConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {int32(partition): kgo.NewOffset().At(offset)},
	})
	c.assigned = name
	return nil
}

func record(r *kgo.Record) cases.Record {
	got := cases.Record{
		Key: r.Key, Value: r.Value, Offset: r.Offset, TimestampMs: r.Timestamp.UnixMilli(),
	}
	for _, h := range r.Headers {
		got.Headers = append(got.Headers, cases.Header{Name: h.Key, Value: h.Value})
	}
	return got
}

func (c *client) Ends(topic string, partition int) (earliest, latest int64, err error) {
	ctx, cancel := within()
	defer cancel()
	starts, err := c.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	start, _ := starts.Lookup(topic, int32(partition))
	end, _ := ends.Lookup(topic, int32(partition))
	return start.Offset, end.Offset, errors.Join(named(start.Err), named(end.Err))
}

func (c *client) OffsetAt(topic string, timestampMs int64) (int64, error) {
	ctx, cancel := within()
	defer cancel()
	offsets, err := c.admin.ListOffsetsAfterMilli(ctx, timestampMs, topic)
	if err != nil {
		return 0, err
	}
	found, _ := offsets.Lookup(topic, 0)
	// The client answers with the end of the log where the broker found nothing.
	if found.Err == nil && found.Timestamp == -1 {
		return -1, nil
	}
	return found.Offset, named(found.Err)
}
