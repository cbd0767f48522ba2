// What the stock packages and viem make of our inputs, as one line of JSON: ids, digests,
// signatures, and whole headers as a client would send them.

import { readFileSync } from "node:fs";
import { encodePaymentSignatureHeader } from "@x402/core/http";
import { ExactEvmScheme, authorizationTypes, claimBatchTypes, refundTypes, voucherTypes } from "@x402/evm";
import { computeChannelId, createBatchSettlementEIP3009DepositPayload, signVoucher } from "@x402/evm/batch-settlement/client";
import { hashTypedData } from "viem";
import { privateKeyToAccount } from "viem/accounts";

const ESCROW = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003";
const input = JSON.parse(readFileSync(process.argv[2], "utf8"));
const account = privateKeyToAccount(input.key);
const receiveTypes = { ReceiveWithAuthorization: authorizationTypes.TransferWithAuthorization };

async function one({ requirements, config, max, refund, claimed, authorization }) {
  const { network } = requirements;
  const chainId = Number(network.split(":")[1]);
  const channelId = computeChannelId(config, network);
  const escrow = { name: "x402 Batch Settlement", version: "1", chainId, verifyingContract: ESCROW };
  const { name, version } = requirements.extra;
  const token = { name, version, chainId, verifyingContract: requirements.asset };
  const digest = (domain, types, primaryType, message) => hashTypedData({ domain, types, primaryType, message });
  const rows = claimed.map((totalClaimed) => ({ channelId, maxClaimableAmount: max, totalClaimed }));
  const deposit = await createBatchSettlementEIP3009DepositPayload(account, 2, requirements, config, refund.amount, max);
  const exact = await new ExactEvmScheme(account).createPaymentPayload(2, requirements);
  const wrap = ({ payload }) =>
    encodePaymentSignatureHeader({ x402Version: 2, accepted: requirements, resource: { url: "http://localhost/" }, payload });
  return {
    channelId,
    voucher: digest(escrow, voucherTypes, "Voucher", { channelId, maxClaimableAmount: max }),
    refund: digest(escrow, refundTypes, "Refund", { channelId, ...refund }),
    claimBatch: digest(escrow, claimBatchTypes, "ClaimBatch", { claims: rows }),
    transfer: digest(token, authorizationTypes, "TransferWithAuthorization", authorization),
    receive: digest(token, receiveTypes, "ReceiveWithAuthorization", authorization),
    signature: (await signVoucher(account, channelId, max, network)).signature,
    depositHeader: wrap(deposit),
    exactHeader: wrap(exact),
  };
}

console.log(JSON.stringify(await Promise.all(input.cases.map(one))));
