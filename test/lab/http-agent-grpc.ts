// gRPC of the agent in a pod, by grpc-js on both sides: unary calls and streams that stay open.
import {
  type ClientDuplexStream,
  credentials,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;
const method = (name: string, streams: boolean) => ({
  path: `/lab.Echo/${name}`,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const definition = { Unary: method('Unary', false), Stream: method('Stream', true) };
const Client = makeGenericClientConstructor(definition, 'lab.Echo');
type EchoClient = InstanceType<typeof Client>;

const clients = new Map<string, EchoClient>();
const groups = new Map<number, ClientDuplexStream<Buffer, Buffer>[]>();
let nextGroup = 1;

function clientOf(target: string): EchoClient {
  const known = clients.get(target) ?? new Client(target, credentials.createInsecure());
  clients.set(target, known);
  return known;
}

const answerUnary: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
  const text = call.request.toString();
  const trailers = new Metadata();
  trailers.set('x-trailer', 'at the end');
  trailers.set('x-saw', call.metadata.get('x-mine').join(','));
  trailers.set('x-path', call.getPath());
  if (text === 'hang') return;
  if (text === 'fail') callback({ code: status.FAILED_PRECONDITION, details: 'not now: ü' }, null, trailers);
  else callback(null, call.request, trailers);
};

const answerStream: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
  call.on('data', (message: Buffer) => call.write(message));
  call.on('end', () => call.end());
  call.on('error', () => {});
};

/** Serves `lab.Echo`: `Unary` gives back its message (`fail` and `hang` are special), `Stream` each of its messages. */
export async function serveGrpc({ port }: { port: number }): Promise<object> {
  const server = new Server();
  server.addService(definition, { Unary: answerUnary, Stream: answerStream });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`[::]:${port}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return {};
}

export interface UnaryAnswer {
  readonly code: number;
  readonly text: string;
  readonly trailers: Readonly<Record<string, string>>;
}

export function unary(args: { target: string; text: string; deadlineMs?: number; mine?: string }): Promise<object> {
  const { target, text, deadlineMs = 20_000, mine = '' } = args;
  const metadata = new Metadata();
  if (mine !== '') metadata.set('x-mine', mine);
  return new Promise((resolve) => {
    let trailers: Record<string, unknown> = {};
    const answer = (error: ServiceError | null, message?: Buffer): void => {
      if (error !== null) trailers = error.metadata?.getMap() ?? {};
      resolve({ code: error?.code ?? 0, text: error?.details ?? String(message), trailers });
    };
    const call = clientOf(target).makeUnaryRequest(
      definition.Unary.path,
      same,
      same,
      Buffer.from(text),
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error: ServiceError | null, message?: Buffer) => setImmediate(answer, error, message),
    );
    call.on('status', (ended) => {
      trailers = ended.metadata.getMap();
    });
  });
}

/** Opens streams and lets each carry a first message. */
export async function openStreams({ target, count }: { target: string; count: number }): Promise<object> {
  const client = clientOf(target);
  const streams = Array.from({ length: count }, () =>
    client.makeBidiStreamRequest(definition.Stream.path, same, same, new Metadata()),
  );
  for (const stream of streams) stream.on('error', () => {});
  groups.set(nextGroup, streams);
  const group = nextGroup++;
  await sayOnStreams({ group, text: 'first' });
  return { group };
}

/** Sends a message on each stream of a group; resolves when every one has come back. */
export async function sayOnStreams({ group, text }: { group: number; text: string }): Promise<object> {
  const echoes = groups.get(group)!.map(
    (stream, index) =>
      new Promise<void>((resolve, reject) => {
        const expected = `${text} ${index}`;
        stream.once('data', (message: Buffer) => {
          if (message.toString() === expected) resolve();
          else reject(new Error(`${expected} came back as ${message.toString()}`));
        });
        stream.once('status', (ended) => reject(new Error(`stream ${index} ended: ${ended.code} ${ended.details}`)));
        stream.write(Buffer.from(expected));
      }),
  );
  await Promise.all(echoes);
  return { echoes: echoes.length };
}

/** Half-closes every stream of a group; resolves with how many ended with which status. */
export async function closeStreams({ group }: { group: number }): Promise<object> {
  const codes: Record<number, number> = {};
  await Promise.all(
    groups.get(group)!.map(
      (stream) =>
        new Promise<void>((resolve) => {
          stream.on('status', ({ code }) => {
            codes[code] = (codes[code] ?? 0) + 1;
            resolve();
          });
          stream.end();
        }),
    ),
  );
  return { codes };
}
