// What the guides of Gateway API, and its pages on meshes, have readers apply: read and obeyed.
import assert from 'node:assert/strict';
import { workloadOf } from '../../model/testing-mesh.ts';
import { type DocumentRow, type Page, testDocuments, textOf } from './testing-documents.ts';
import { hitOf, requestOf } from './testing-routes.ts';

const services: Page = ['gateway-api-services'];

function guide(title: string, at: number, given: Omit<DocumentRow, 'title' | 'pages'>): DocumentRow {
  return { title, pages: [services, ['gateway-api-guides', at]], ...given };
}

const backend = 'infra-backend';

testDocuments([
  guide('splitting', 0, { requests: [['foo /', 'foo-v1 x90, foo-v2 x10']] }),
  guide('a canary by header; hostnames mean nothing here', 1, {
    requests: [
      ['foo /', 'foo-v2', 'traffic: test'],
      ['foo /', 'foo-v1'],
      ['foo /', 'foo-v1', 'host: elsewhere.example'],
    ],
    findings: [/^info HTTPRoute canary: hostnames are not looked at for a Service/],
  }),
  guide('a rollout that is complete', 2, { requests: [['foo /', 'foo-v1 x0, foo-v2 x1']] }),
  guide('redirects', 3, {
    requests: [
      ['foo /cayenne/teaspoon', '302 to prefix /paprika'],
      ['foo /api/v1/users', '307 to full /api/v2'],
      ['foo POST /submit-form', '303 to full /thank-you'],
      ['foo GET /submit-form', '301 to https'],
      ['foo /old-api', '308 to full /new-api'],
      ['foo /', '301 to https'],
    ],
  }),
  guide('rewrites', 4, {
    requests: [
      ['foo /cardamom/1', 'example-svc; host elsewhere.example; prefix to /fennel'],
      ['foo /full/1', 'example-svc; host elsewhere.example; full to /fennel'],
      ['foo /', 'example-svc; host elsewhere.example'],
    ],
  }),
  guide('mirroring', 5, { requests: [['foo /', 'foo-v1; 100 % to foo-v2']] }),
  guide('headers', 6, {
    requests: [
      ['foo /add-a-request-header', 'echo; request my-header-name+=my-header-value'],
      ['foo /edit-a-request-header', 'echo; request my-header-name=my-new-header-value'],
      ['foo /remove-a-request-header', 'echo; request -x-request-id'],
      [
        'foo /add-multiple-response-headers',
        'echo; response x-header-add-1+=header-add-1 x-header-add-2+=header-add-2 x-header-add-3+=header-add-3',
      ],
    ],
  }),
  guide('time-outs', 7, {
    requests: [
      ['foo /request-timeout', `${backend}-v1; timeout 500`],
      ['foo /disable-request-timeout', `${backend}-v1`],
      ['foo /timeout', 'timeout-svc; timeout 10000; each try 2000'],
    ],
  }),
  guide('retries: the author learns what a POST does not get', 8, {
    requests: [
      [
        'foo /',
        'some-service; retry 2 on connect-failure,refused-stream,unavailable,cancelled,reset,retriable-status-codes' +
          ' codes 500,502,503,504 after 100',
      ],
    ],
    findings: [/retry on 500, 502, 503, 504 does not repeat a POST or PATCH that has left/],
  }),
  guide('query parameters', 9, {
    requests: [
      ['foo /?animal=whale', `${backend}-v1`],
      ['foo /?animal=dolphin', `${backend}-v2`],
      ['foo /?animal=dolphin&color=blue', `${backend}-v3`],
      ['foo /?ANIMAL=Whale', `${backend}-v3`],
      ['foo /path1?animal=whale', `${backend}-v1`],
      ['foo /?animal=whale', `${backend}-v2`, 'version: one'],
      ['foo /path2?animal=whale', `${backend}-v3`, 'version: two'],
      ['foo /?animal=shark', '404'],
    ],
  }),
  guide('methods', 10, {
    requests: [
      ['foo POST /', `${backend}-v1`],
      ['foo GET /', `${backend}-v2`],
      ['foo GET /path1', `${backend}-v1`],
      ['foo PUT /', `${backend}-v2`, 'version: one'],
      ['foo POST /path2', `${backend}-v3`, 'version: two'],
      ['foo PATCH /path3', `${backend}-v1`],
      ['foo DELETE /path4', `${backend}-v1`, 'version: three'],
      ['foo HEAD /', '404'],
    ],
  }),
  guide('CORS', 11, {
    requests: [['foo /cors-behavior-creds-true', `${backend}-v1; cors GET,OPTIONS 3600 s`]],
  }),
  guide('named rules', 12, {
    requests: [
      ['foo GET /', 'foo-v2'],
      ['foo DELETE /', 'foo-v1'],
      ['foo PUT /', '404'],
    ],
    check: (compiled) => {
      const hit = hitOf(compiled.table('foo'), 80, requestOf('PATCH /'));
      assert.equal(hit?.rule.origin.ruleName, 'write-only');
    },
  }),
]);

testDocuments([
  {
    title: 'gRPC by method, with reflection',
    pages: [services, ['gateway-api-grpc', 0]],
    requests: [
      ['foo-grpc:50051 POST /com.example.User/Login', 'foo-grpc'],
      ['foo-grpc:50051 POST /grpc.reflection.v1.ServerReflection/ServerReflectionInfo', 'foo-grpc'],
      ['foo-grpc:50051 POST /com.example.User/Logout', '404'],
    ],
  },
  {
    title: 'gRPC by header',
    pages: [services, ['gateway-api-grpc', 1]],
    requests: [
      ['bar-svc:50051 POST /a.B/C', 'bar-svc-canary', 'env: canary'],
      ['bar-svc:50051 POST /a.B/C', 'bar-svc'],
    ],
  },
  {
    title: 'splitting gRPC',
    pages: [services, ['gateway-api-grpc', 2]],
    requests: [['foo-grpc:50051 POST /a.B/C', 'foo-grpc x90, bar-svc x10']],
  },
  {
    title: 'another namespace, with a grant',
    pages: [services, ['gateway-api-reference-grant', 0, 1]],
    requests: [['foo.foo /bar', 'bar']],
  },
  {
    title: 'another namespace, whose grant is for somebody else',
    pages: [services, ['gateway-api-reference-grant', 0, 2]],
    requests: [['foo.foo /bar', 'bar (500)']],
    findings: [/^warning HTTPRoute foo: no ReferenceGrant in bar lets HTTPRoute of foo refer to Service bar/],
  },
  {
    title: 'a mesh: routes of the producer and of a consumer',
    pages: [['gateway-api-mesh']],
    requests: [['smiley.faces /', 'smiley']],
    check: (compiled) => {
      const fast = { workload: workloadOf('fast-clients/x') };
      const hit = hitOf(compiled.table('smiley.faces'), 80, requestOf('/'), fast);
      assert.equal(hit === null ? '404' : textOf(hit.rule), 'smiley; timeout 100');
    },
  },
]);
