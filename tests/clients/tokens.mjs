// Public libraries get tokens, have them judged, use them and give them up. TOLD says where and as whom.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const told = JSON.parse(process.env.TOLD);
const require = createRequire(told.modules);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);

async function call(token) {
  const answer = await fetch(told.api, { headers: { authorization: `Bearer ${token}` } });
  return { status: answer.status, code: answer.headers.get("doorward-code") };
}

// A revoked token is dead at every node within a second; here, on a machine as busy as any.
async function callUntilRefused(token) {
  const end = Date.now() + 10_000;
  for (;;) {
    const answer = await call(token);
    if (answer.status !== 200 || Date.now() > end) return answer;
    await new Promise((done) => setTimeout(done, 20));
  }
}

async function openidClient() {
  const openid = await load("openid-client");
  const { id, secret } = told.client;
  const authentication = { basic: openid.ClientSecretBasic, post: openid.ClientSecretPost }[told.authentication];
  const config = await openid.discovery(new URL(told.issuer), id, undefined, authentication(secret), {
    algorithm: "oauth2",
    execute: [openid.allowInsecureRequests],
  });
  const asked = told.scope ? { scope: told.scope } : {};
  const tokens = told.user
    ? await openid.genericGrantRequest(config, "password", { ...told.user, ...asked })
    : await openid.clientCredentialsGrant(config, asked);
  const before = await openid.tokenIntrospection(config, tokens.access_token);
  const used = await call(tokens.access_token);
  await openid.tokenRevocation(config, tokens.access_token);
  const after = await openid.tokenIntrospection(config, tokens.access_token);
  return { tokens, before, used, after, usedAgain: await callUntilRefused(tokens.access_token) };
}

async function simpleOauth2() {
  const { ClientCredentials, ResourceOwnerPassword } = require("simple-oauth2");
  const Grant = told.user ? ResourceOwnerPassword : ClientCredentials;
  const grant = new Grant({
    client: told.client,
    auth: { tokenHost: told.issuer, tokenPath: "/oauth/token", revokePath: "/oauth/revoke" },
    options: { authorizationMethod: told.authentication === "post" ? "body" : "header" },
  });
  const asked = told.scope ? { scope: told.scope } : {};
  const token = await grant.getToken({ ...(told.user ?? {}), ...asked });
  const used = await call(token.token.access_token);
  await token.revoke("access_token");
  return { tokens: token.token, used, usedAgain: await callUntilRefused(token.token.access_token) };
}

async function jose() {
  const { createRemoteJWKSet, importJWK, jwtVerify } = await load("jose");
  const key = told.jwk ? await importJWK(told.jwk) : createRemoteJWKSet(new URL(told.jwks));
  const { payload, protectedHeader } = await jwtVerify(told.token, key, told.expected);
  return { payload, protectedHeader };
}

const libraries = { "openid-client": openidClient, "simple-oauth2": simpleOauth2, jose };
try {
  console.log(JSON.stringify(await libraries[told.library]()));
} catch (error) {
  console.error(error.stack, JSON.stringify(error.data?.payload ?? error.cause?.error ?? null));
  process.exit(1);
}
