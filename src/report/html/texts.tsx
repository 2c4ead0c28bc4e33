// What people read: the worst tokens, neighbours of frequent ones, texts of both models side by side.
import type { ComponentChildren } from "preact";
import type { DamageReport, Neighbour, NeighboursReport, SampleReport, SamplesReport } from "../details.js";
import { percent, short } from "./numbers.js";
import { Foreign, Table, Token } from "./parts.js";

export function WorstTokens({ damage: { total, worst } }: { damage: DamageReport }) {
	const hasFrequency = worst.some(({ frequency }) => frequency !== undefined);
	return (
		<>
			<p>
				To second order, the errors of all rows together cost {short(total)} nats per predicted token; these {worst.length} rows cost{" "}
				{percent(total > 0 ? worst.reduce((sum, { loss }) => sum + loss, 0) / total : 0)} of it. This weighs the stored rows by the
				calibration text alone and allows for no unseen tokens. Training beyond the table is not counted. Reads are per thousand predicted
				tokens, the error of a row is relative to its length.
			</p>
			<Table
				head={["token", "loss, 10⁻⁶ nats", "share", ...(hasFrequency ? ["reads, ‰"] : []), "error of row", "id"]}
				rows={worst.map((row) => [
					<Token token={row} />,
					short(1e6 * row.loss),
					`${short(total > 0 ? (100 * row.loss) / total : 0)}\u00a0%`,
					...(hasFrequency ? [short(1000 * (row.frequency ?? 0))] : []),
					row.relativeError.toFixed(3),
					`${row.id}`,
				])}
			/>
		</>
	);
}

export function Neighbours({ neighbours: { counts, tokens } }: { neighbours: NeighboursReport }) {
	return (
		<>
			<p>
				The rows with the largest cosine to that of the token, the nearest first, for frequent tokens of {counts}. Dashed: no longer among
				the nearest; marked: new among them.
			</p>
			<Table
				head={["token", "before", "after", "kept"]}
				rows={tokens.map((token) => {
					const kept = token.before.filter(({ id }) => token.after.some((other) => other.id === id)).length;
					return [
						<Token token={token} />,
						<Near list={token.before} others={token.after} kind="gone" />,
						<Near list={token.after} others={token.before} kind="new" />,
						`${kept}/${token.before.length}`,
					];
				})}
			/>
		</>
	);
}

function Near({ list, others, kind }: { list: readonly Neighbour[]; others: readonly Neighbour[]; kind: string }) {
	return (
		<ul class="near">
			{list.map((near) => (
				<li key={near.id} title={`cosine ${near.cosine.toFixed(3)}`}>
					<Token token={near} kind={others.some(({ id }) => id === near.id) ? "" : kind} />
				</li>
			))}
		</ul>
	);
}

export function Samples({ samples: { how, samples }, isTranslation }: { samples: SamplesReport; isTranslation: boolean }) {
	return (
		<>
			<p>{how.charAt(0).toUpperCase() + how.slice(1)}. Marked: where the result departs from the original.</p>
			{samples.map((sample, index) => (
				<Sample key={index} sample={sample} isTranslation={isTranslation} />
			))}
		</>
	);
}

function Sample({ sample: { input, reference, original, result }, isTranslation }: { sample: SampleReport; isTranslation: boolean }) {
	const common = commonStart(original, result);
	return (
		<div class="sample">
			<Text title={isTranslation ? "source" : "text"}>
				<Foreign text={input} />
			</Text>
			<Text title={isTranslation ? "reference" : "as it goes on in the data"}>
				<Foreign text={reference} />
			</Text>
			<Text title="original">
				<Foreign text={original} />
			</Text>
			<Text title={original === result ? "result (the same)" : "result"}>
				<Foreign text={result.slice(0, common)} />
				{common < result.length ? (
					<mark>
						<Foreign text={result.slice(common)} />
					</mark>
				) : null}
			</Text>
		</div>
	);
}

function Text({ title, children }: { title: string; children: ComponentChildren }) {
	return (
		<div>
			<h4>{title}</h4>
			<p>{children}</p>
		</div>
	);
}

/** Up to the last word boundary before the first difference. */
function commonStart(a: string, b: string): number {
	let at = 0;
	while (at < a.length && at < b.length && a[at] === b[at]) at++;
	if (at === a.length && at === b.length) return at;
	while (at > 0 && !/\s/.test(b[at - 1] ?? "")) at--;
	return at;
}
