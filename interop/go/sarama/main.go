// sarama, at the newest protocol version that it knows.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"

	"interop/cases"
)

const timeout = 30 * time.Second

type client struct {
	bootstrap string
	client    sarama.Client
	admin     sarama.ClusterAdmin
	consumer  sarama.Consumer
	producers map[string]sarama.SyncProducer
}

func main() {
	if len(os.Args) > 2 && os.Args[2] == "member" {
		members(os.Args[1], os.Args[3], os.Args[4:])
		return
	}
	cases.Main(func(bootstrap string) (cases.Client, error) {
		c := &client{bootstrap: bootstrap, producers: map[string]sarama.SyncProducer{}}
		var err error
		if c.client, err = sarama.NewClient([]string{bootstrap}, config()); err != nil {
			return nil, err
		}
		if c.admin, err = sarama.NewClusterAdminFromClient(c.client); err != nil {
			return nil, err
		}
		c.consumer, err = sarama.NewConsumerFromClient(c.client)
		return c, err
	})
}

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Consumer.Fetch.Default = 4 << 20
	config.Metadata.AllowAutoTopicCreation = true
	config.Metadata.Retry.Max = 100
	config.Metadata.Retry.Backoff = 100 * time.Millisecond
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.MaxMessageBytes = 2_000_000
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	config.Producer.Retry.Max = 100
	return config
}

// named turns an answer's error into the name that the cases look for.
func named(err error) error {
	names := map[sarama.KError]string{
		sarama.ErrTopicAlreadyExists:  "TOPIC_ALREADY_EXISTS",
		sarama.ErrMessageSizeTooLarge: "MESSAGE_TOO_LARGE",

		sarama.ErrTransactionalIDAuthorizationFailed: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
	}
	for code, name := range names {
		if errors.Is(err, code) {
			return cases.Refusal(name)
		}
	}
	return err
}

func (c *client) Transaction(topic string, record cases.Record) error {
	config := config()
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Transaction.ID = topic
	producer, err := sarama.NewSyncProducer([]string{c.bootstrap}, config)
	if err != nil {
		return named(err)
	}
	defer producer.Close()
	if err := producer.BeginTxn(); err != nil {
		return named(err)
	}
	message := &sarama.ProducerMessage{Topic: topic, Value: sarama.ByteEncoder(record.Value)}
	if _, _, err := producer.SendMessage(message); err != nil {
		return named(err)
	}
	return named(producer.CommitTxn())
}

func (c *client) Create(topic string, partitions int) error {
	detail := &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}
	var answer *sarama.TopicError
	err := c.admin.CreateTopic(topic, detail, false)
	if errors.As(err, &answer) {
		return named(answer.Err)
	}
	return named(err)
}

func (c *client) Delete(topic string) error { return c.admin.DeleteTopic(topic) }

func (c *client) Topics() ([]string, error) {
	if err := c.client.RefreshMetadata(); err != nil {
		return nil, err
	}
	return c.client.Topics()
}

func (c *client) Partitions(topic string) (int, error) {
	partitions, err := c.client.Partitions(topic)
	return len(partitions), err
}

func (c *client) producer(codec string, idempotent bool) (sarama.SyncProducer, error) {
	name := fmt.Sprint(codec, idempotent)
	if c.producers[name] == nil {
		config := config()
		config.Producer.Compression = map[string]sarama.CompressionCodec{
			"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
			"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4,
			"zstd": sarama.CompressionZSTD,
		}[codec]
		if idempotent {
			config.Producer.Idempotent = true
			config.Producer.MaxMessageBytes = 1_000_000
			config.Net.MaxOpenRequests = 1
		}
		producer, err := sarama.NewSyncProducer([]string{c.bootstrap}, config)
		if err != nil {
			return nil, err
		}
		c.producers[name] = producer
	}
	return c.producers[name], nil
}

func (c *client) Send(topic string, records []cases.Record, codec string, idempotent bool) error {
	producer, err := c.producer(codec, idempotent)
	if err != nil || len(records) == 0 {
		return err
	}
	messages := make([]*sarama.ProducerMessage, 0, len(records))
	for _, r := range records {
		message := &sarama.ProducerMessage{Topic: topic}
		if r.Key != nil {
			message.Key = sarama.ByteEncoder(r.Key)
		}
		if r.Value != nil {
			message.Value = sarama.ByteEncoder(r.Value)
		}
		if r.TimestampMs != 0 {
			message.Timestamp = time.UnixMilli(r.TimestampMs)
		}
		for _, h := range r.Headers {
			header := sarama.RecordHeader{Key: []byte(h.Name), Value: h.Value}
			message.Headers = append(message.Headers, header)
		}
		messages = append(messages, message)
	}
	var failed sarama.ProducerErrors
	err = producer.SendMessages(messages)
	if errors.As(err, &failed) {
		return named(failed[0].Err)
	}
	return err
}

func (c *client) Read(
	topic string, partition int, offset int64, count int, body func(cases.Record),
) error {
	if count == 0 {
		return nil
	}
	reader, err := c.consumer.ConsumePartition(topic, int32(partition), offset)
	if err != nil {
		return err
	}
	defer reader.Close()
	late := time.NewTimer(timeout)
	for ; count > 0; count-- {
		select {
		case m := <-reader.Messages():
			body(record(m))
			late.Reset(timeout)
		case <-late.C:
			return fmt.Errorf("%d records did not come", count)
		}
	}
	return nil
}

func record(m *sarama.ConsumerMessage) cases.Record {
	got := cases.Record{
		Key: m.Key, Value: m.Value, Offset: m.Offset, TimestampMs: m.Timestamp.UnixMilli(),
	}
	for _, h := range m.Headers {
		got.Headers = append(got.Headers, cases.Header{Name: string(h.Key), Value: h.Value})
	}
	return got
}

func (c *client) Ends(topic string, partition int) (earliest, latest int64, err error) {
	earliest, err = c.client.GetOffset(topic, int32(partition), sarama.OffsetOldest)
	if err != nil {
		return 0, 0, err
	}
	latest, err = c.client.GetOffset(topic, int32(partition), sarama.OffsetNewest)
	return earliest, latest, err
}

func (c *client) OffsetAt(topic string, timestampMs int64) (int64, error) {
	return c.client.GetOffset(topic, 0, timestampMs)
}
