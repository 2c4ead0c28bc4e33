// Who may write an output: one run at a time; what a killed run left is removed, and half of what it had moved is undone.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { claimedFolder, claimOutput, clearLeftovers } from "../../src/onnx/claim.js";
import { StagedOutput } from "../../src/onnx/index.js";
import { temporaryFolder } from "../support/models.js";

const root = temporaryFolder();
let folder = root;
let target = root;
beforeEach(() => {
	folder = path.join(root, `${process.hrtime.bigint()}`);
	mkdirSync(folder);
	target = path.join(folder, "out.onnx");
});

const ownerFile = () => path.join(claimedFolder(target), "owner.json");

/** A process id that was given once, and belongs to nobody now. */
const endedPid = () => spawnSync(process.execPath, ["--version"]).pid;

/** What a run of `owner` leaves when it is killed; files by name in its folder. */
function left(owner: Record<string, unknown> | string, files: Readonly<Record<string, string>> = {}): void {
	const made = claimedFolder(target);
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(path.dirname(path.join(made, name)), { recursive: true });
		writeFileSync(path.join(made, name), text);
	}
	mkdirSync(made, { recursive: true });
	writeFileSync(ownerFile(), typeof owner === "string" ? owner : JSON.stringify({ host: hostname(), run: "r", ...owner }));
}

describe("a claim", () => {
	it("is_one_run's_at_a_time", () => {
		const first = new StagedOutput(target, "file");
		expect(() => new StagedOutput(target, "file")).toThrow(
			expect.objectContaining({ code: "output", message: `another run (process ${process.pid} on ${hostname()}) is writing it` }),
		);
		first.discard();
		const second = new StagedOutput(target, "file");
		// The first is done with: it takes nothing from the second any more.
		first.discard();
		expect(existsSync(second.folder)).toBe(true);
		second.discard();
		expect(readdirSync(folder)).toEqual([]);
	});

	it("does_not_stop_other_outputs_beside_it", () => {
		const all = ["a.onnx", "b.onnx", "a.onnx.b"].map((name) => new StagedOutput(path.join(folder, name), "file"));
		for (const staged of all) staged.discard();
		expect(readdirSync(folder)).toEqual([]);
	});

	it.each<[string, () => Record<string, unknown>]>([
		["ended", () => ({ pid: endedPid() })],
		["began_at_another_time_than_the_process_of_that_number", () => ({ pid: process.pid, started: "1" })],
	])("of_a_process_that_%s_is_taken_over", (_what, owner) => {
		left(owner(), { "result/out.onnx": "half" });
		claimOutput(target);
		expect(readdirSync(claimedFolder(target))).toEqual(["owner.json"]);
		expect(JSON.parse(readFileSync(ownerFile(), "utf8"))).toMatchObject({ pid: process.pid });
	});

	it("of_another_machine_stands_and_the_message_says_how_to_go_on", () => {
		left({ host: "elsewhere", pid: endedPid() });
		expect(() => claimOutput(target)).toThrow(
			expect.objectContaining({
				hint: expect.stringContaining(`remove ${claimedFolder(target)}`),
				message: expect.stringMatching("elsewhere"),
			}),
		);
	});

	it("without_an_owner_stands_as_long_as_it_may_be_in_the_making", () => {
		left("{");
		expect(() => claimOutput(target)).toThrow("another run is writing it");
		const minuteAgo = statSync(claimedFolder(target)).mtimeMs / 1000 - 60;
		utimesSync(claimedFolder(target), minuteAgo, minuteAgo);
		expect(claimOutput(target)).toBe(claimedFolder(target));
	});
});

describe("leftovers of a killed run", () => {
	it("are_removed_also_where_the_one_who_made_or_cleared_them_was_killed", () => {
		left({ pid: endedPid() });
		const aside = ["earlier", "unwritten"].map((run) => `${claimedFolder(target)}.${run}`);
		for (const name of aside) mkdirSync(path.join(name, "result"), { recursive: true });
		writeFileSync(path.join(aside[0] ?? "", "owner.json"), JSON.stringify({ host: hostname(), run: "earlier", pid: endedPid() }));
		utimesSync(aside[1] ?? "", 1, 1);
		clearLeftovers(target);
		expect(readdirSync(folder)).toEqual([]);
	});

	it("are_none_of_those_of_runs_that_are_about_to_begin", () => {
		const aside = `${claimedFolder(target)}.other`;
		mkdirSync(aside);
		clearLeftovers(target);
		expect(existsSync(aside)).toBe(true);
		writeFileSync(path.join(aside, "owner.json"), JSON.stringify({ host: hostname(), run: "other", pid: process.pid }));
		utimesSync(aside, 1, 1);
		clearLeftovers(target);
		expect(existsSync(aside)).toBe(true);
	});

	it("put_a_replaced_folder_back_whose_successor_did_not_arrive", () => {
		left({ pid: endedPid() }, { "old/model.onnx": "old", "result/model.onnx": "new" });
		clearLeftovers(target);
		expect(readdirSync(folder)).toEqual(["out.onnx"]);
		expect(readFileSync(path.join(target, "model.onnx"), "utf8")).toBe("old");
	});

	it("leave_a_folder_that_took_the_place_of_another", () => {
		mkdirSync(target);
		left({ pid: endedPid() }, { "old/model.onnx": "old" });
		clearLeftovers(target);
		expect(readdirSync(target)).toEqual([]);
	});

	const moving = { "moving.json": JSON.stringify(["out.bin", "out.onnx"]) };

	it("remove_data_files_whose_model_has_not_followed_them", () => {
		writeFileSync(path.join(folder, "out.bin"), "data");
		writeFileSync(path.join(folder, "other.bin"), "of another model");
		left({ pid: endedPid() }, { ...moving, "result/out.onnx": "model" });
		clearLeftovers(target);
		expect(readdirSync(folder)).toEqual(["other.bin"]);
	});

	it("leave_a_model_that_has_followed_its_data_files", () => {
		writeFileSync(path.join(folder, "out.bin"), "data");
		writeFileSync(target, "model");
		left({ pid: endedPid() }, moving);
		clearLeftovers(target);
		expect(readdirSync(folder).sort()).toEqual(["out.bin", "out.onnx"]);
	});

	it("leave_an_old_model_with_its_data_files_where_nothing_was_moved_yet", () => {
		writeFileSync(path.join(folder, "out.bin"), "old data");
		writeFileSync(target, "old model");
		left({ pid: endedPid() }, { ...moving, "result/out.onnx": "model", "result/out.bin": "data" });
		clearLeftovers(target);
		expect(readFileSync(target, "utf8")).toBe("old model");
		expect(readFileSync(path.join(folder, "out.bin"), "utf8")).toBe("old data");
	});
});
