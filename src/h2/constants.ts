// The numbers of HTTP/2 (RFC 9113): frame types, flags, error codes, settings, and the limits that the text fixes.

export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  Goaway: 7,
  WindowUpdate: 8,
  Continuation: 9,
  /** Ours; see `timing.ts`. */
  Timing: 0xa1,
} as const;

export const Flag = {
  Ack: 0x1,
  EndStream: 0x1,
  EndHeaders: 0x4,
  Padded: 0x8,
  Priority: 0x20,
} as const;

/** RFC 9113 §7. */
export const ErrorCode = {
  NoError: 0,
  ProtocolError: 1,
  InternalError: 2,
  FlowControlError: 3,
  SettingsTimeout: 4,
  StreamClosed: 5,
  FrameSizeError: 6,
  RefusedStream: 7,
  Cancel: 8,
  CompressionError: 9,
  ConnectError: 10,
  EnhanceYourCalm: 11,
  InadequateSecurity: 12,
  Http11Required: 13,
} as const;

const errorNames = Object.entries(ErrorCode);

/** The name of an error code for people: `ConnectError`, or `code 99`. */
export function errorName(code: number): string {
  return errorNames.find(([, value]) => value === code)?.[0] ?? `code ${code}`;
}

/** RFC 9113 §6.5.2, RFC 8441. */
export const SettingId = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
  EnableConnectProtocol: 8,
} as const;

export const frameHeaderBytes = 9;
export const defaultWindowBytes = 65_535;
export const defaultMaxFrameBytes = 16_384;
export const largestMaxFrameBytes = 16_777_215;
export const largestWindowBytes = 2_147_483_647;
export const largestStreamId = 2_147_483_647;

export const clientPreface: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
