// SETTINGS (RFC 9113 §6.5): what each side announces, on the wire and checked.
import {
  defaultMaxFrameBytes,
  defaultWindowBytes,
  ErrorCode,
  largestMaxFrameBytes,
  largestWindowBytes,
  SettingId,
} from './constants.ts';
import { ProtocolError } from './protocol-error.ts';

/** What we announce. */
export interface LocalSettings {
  /** Streams that the peer may have open at once. A client announces none, since servers open no streams. */
  readonly maxConcurrentStreams: number;
  /** What every stream begins with. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxFrameBytes: number;
  readonly maxHeaderListBytes: number;
  readonly headerTableBytes: number;
  /** A server's: CONNECT with `:protocol` is taken (RFC 8441). */
  readonly extendedConnect: boolean;
}

/** What the peer announced, with RFC 9113's defaults until then. */
export interface PeerSettings {
  headerTableBytes: number;
  maxConcurrentStreams: number;
  streamWindowBytes: number;
  maxFrameBytes: number;
  maxHeaderListBytes: number;
  extendedConnect: boolean;
}

/**
 * Istio ambient's values (ambient-l4 §1.5) but for the stream window, which begins at 256 KiB, not 4 MiB, and grows
 * to that where bandwidth × delay ask for it (`window-tuner.ts`). The connection window stays 16 MiB: credit for it is
 * given on receipt, so that no stalled stream takes anything from the others.
 */
export const defaultLocalSettings: LocalSettings = {
  maxConcurrentStreams: 256,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
  maxFrameBytes: 256 * 1024,
  maxHeaderListBytes: 16 * 1024,
  headerTableBytes: 4096,
  extendedConnect: false,
};

/** `initialStreams`: streams that we dare to open before the peer has said how many it allows. */
export function initialPeerSettings(initialStreams: number): PeerSettings {
  return {
    headerTableBytes: 4096,
    maxConcurrentStreams: initialStreams,
    streamWindowBytes: defaultWindowBytes,
    maxFrameBytes: defaultMaxFrameBytes,
    maxHeaderListBytes: Number.POSITIVE_INFINITY,
    extendedConnect: false,
  };
}

/** The payload of our SETTINGS frame. */
export function encodeSettings(settings: LocalSettings, client: boolean): Buffer {
  const pairs: [number, number][] = [
    [SettingId.HeaderTableSize, settings.headerTableBytes],
    client ? [SettingId.EnablePush, 0] : [SettingId.MaxConcurrentStreams, settings.maxConcurrentStreams],
    [SettingId.InitialWindowSize, settings.streamWindowBytes],
    [SettingId.MaxFrameSize, settings.maxFrameBytes],
    [SettingId.MaxHeaderListSize, settings.maxHeaderListBytes],
  ];
  if (settings.extendedConnect && !client) pairs.push([SettingId.EnableConnectProtocol, 1]);
  const payload = Buffer.alloc(pairs.length * 6);
  pairs.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return payload;
}

/**
 * Puts what the peer announced into `peer`, in the order sent. Throws ProtocolError for values that RFC 9113 forbids.
 */
export function applySettings(payload: Buffer, peer: PeerSettings, peerIsClient: boolean): void {
  for (let at = 0; at + 6 <= payload.length; at += 6) {
    const value = payload.readUInt32BE(at + 2);
    switch (payload.readUInt16BE(at)) {
      case SettingId.HeaderTableSize:
        peer.headerTableBytes = value;
        break;
      case SettingId.EnablePush:
        if (value > 1 || (value === 1 && !peerIsClient)) throw wrong('ENABLE_PUSH');
        break;
      case SettingId.MaxConcurrentStreams:
        peer.maxConcurrentStreams = value;
        break;
      case SettingId.InitialWindowSize:
        if (value > largestWindowBytes) throw wrong('INITIAL_WINDOW_SIZE', ErrorCode.FlowControlError);
        peer.streamWindowBytes = value;
        break;
      case SettingId.MaxFrameSize:
        if (value < defaultMaxFrameBytes || value > largestMaxFrameBytes) throw wrong('MAX_FRAME_SIZE');
        peer.maxFrameBytes = value;
        break;
      case SettingId.MaxHeaderListSize:
        peer.maxHeaderListBytes = value;
        break;
      case SettingId.EnableConnectProtocol:
        if (value > 1) throw wrong('ENABLE_CONNECT_PROTOCOL');
        peer.extendedConnect = value === 1;
        break;
      default:
        break;
    }
  }
}

function wrong(name: string, code: number = ErrorCode.ProtocolError): ProtocolError {
  return new ProtocolError(code, `SETTINGS_${name} out of range`);
}
