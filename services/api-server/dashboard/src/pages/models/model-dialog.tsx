import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { api, data } from "../../api/client";
import { mistakesByField, useFocusOnMistake } from "../../api/mistakes";
import { modelQuery, queryClient } from "../../api/queries";
import { ifMatch } from "../../api/versions";
import { useAction } from "../../parts/action";
import { Button } from "../../parts/button";
import { ConflictDialog, useConflict } from "../../parts/conflict";
import { Dialog, DialogBody } from "../../parts/dialog";
import { AreaField, TextField } from "../../parts/field";
import { Failure } from "../../parts/layout";
import { bodyOf, changesOf, type ModelTexts, textsOf } from "./form";

interface Model {
  id: string;
  updated_at: number;
  name: string;
  description?: string | null;
  capabilities?: string | null;
}

const EMPTY: ModelTexts = { name: "", description: "", capabilities: "chat" };

/** Adds a model, or changes one. */
export function ModelDialog({ model, onClose }: { model?: Model; onClose: () => void }) {
  const navigate = useNavigate();
  const form = useRef<HTMLFormElement>(null);
  const [id, setId] = useState(model?.id ?? "");
  const [texts, setTexts] = useState<ModelTexts>(model ? textsOf(model) : EMPTY);
  const set = (change: Partial<ModelTexts>) => setTexts((old) => ({ ...old, ...change }));
  const title = model ? `Change ${model.id}` : "Add a model";
  const { conflict, close, guard } = useConflict<Model>();
  const put = (over: Model) =>
    data(
      api.PUT("/api/models/{id}", {
        params: { path: { id: over.id } },
        body: changesOf(model ?? over, texts),
        // The time of the change is a version, too.
        headers: ifMatch(`"${over.updated_at}"`),
      }),
    );
  const finish = async () => {
    await queryClient.invalidateQueries({ queryKey: ["models"] });
    onClose();
  };
  const save = useAction(
    async () => {
      if (model && Object.keys(changesOf(model, texts)).length === 0) return;
      if (model) await guard(model, put, () => queryClient.fetchQuery({ ...modelQuery(model.id), staleTime: 0 }));
      else await data(api.POST("/api/models", { body: { ...bodyOf(id, texts), id: id.trim() } }));
    },
    {
      done: "Saved",
      after: async () => {
        await finish();
        if (!model) await navigate({ to: "/models/$id", params: { id: id.trim() } });
      },
    },
  );
  useFocusOnMistake(form, save.problem);
  const mistakes = mistakesByField(save.problem, ["id", "name", "description", "capabilities"]);
  return (
    <Dialog title={title} onClose={onClose}>
      {conflict && model && (
        <ConflictDialog
          what="The model"
          base={model}
          now={conflict.now}
          onMine={async () => {
            await conflict.mine();
            await finish();
          }}
          onTheirs={() => void finish()}
          onClose={close}
        />
      )}
      <form
        ref={form}
        onSubmit={(event) => {
          event.preventDefault();
          save.run();
        }}
      >
        <DialogBody
          title={title}
          actions={
            <>
              <Button onClick={onClose}>Cancel</Button>
              <Button kind="primary" type="submit" pending={save.pending}>
                Save
              </Button>
            </>
          }
        >
          {save.problem && <Failure title="Not saved." error={save.problem} />}
          {!model && (
            <TextField
              label="Id"
              required
              mono
              value={id}
              onChange={setId}
              mistakes={mistakes.get("id")}
              hint="The name that clients send, and that the provider knows. Link it to a provider afterwards."
            />
          )}
          <TextField
            label="Name"
            value={texts.name}
            onChange={(name) => set({ name })}
            placeholder={id}
            mistakes={mistakes.get("name")}
          />
          <TextField
            label="Capabilities"
            value={texts.capabilities}
            onChange={(capabilities) => set({ capabilities })}
            mistakes={mistakes.get("capabilities")}
            hint="Words with commas between them, such as chat, vision, tools."
          />
          <AreaField
            label="Description"
            rows={2}
            value={texts.description}
            onChange={(description) => set({ description })}
            mistakes={mistakes.get("description")}
          />
        </DialogBody>
      </form>
    </Dialog>
  );
}
